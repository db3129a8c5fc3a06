"""The client library against a server that does as it is told, on real sockets."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus

import pytest

from stacks_feed_client import (
    Feed,
    FeedClosed,
    FeedRefused,
    LinkOptions,
    Options,
    Price,
    State,
    connect,
)
from tests.support.client_talk import price_message
from tests.support.clock import ManualClock
from tests.support.feeding import eager, next_of, until_status
from tests.support.scripted_feed import Scripted, scripted
from tests.support.serving import LONG_S


@asynccontextmanager
async def a_feed(
    server: Scripted, options: Options | None = None
) -> AsyncIterator[Feed[str, Price]]:
    async with connect(server.url, options=options or eager()) as feed:
        yield feed


async def test_the_address_gets_the_path_of_the_party_and_the_headers() -> None:
    options = Options(link=LinkOptions(headers={"X-Key": "k"}))
    async with scripted() as server:
        async with connect(server.url, party="balances", options=options):
            visit = await server.visit()
        assert visit.path == "/parties/balances/main"
        assert visit.socket.request is not None
        assert visit.socket.request.headers["X-Key"] == "k"
        assert "Sec-WebSocket-Extensions" not in visit.socket.request.headers


@pytest.mark.parametrize("code", [1000, 1001, 1011, 1012, 1013])
async def test_after_a_close_it_comes_back_and_goes_on(code: int) -> None:
    async with scripted() as server, a_feed(server) as feed:
        updates = feed.subscribe()
        visit = await server.visit()
        await visit.welcomes()
        await visit.answers(price_message(version=1, cursor="c1"))
        await next_of(updates)
        await visit.closes(code, "see you")
        visit = await server.visit()
        await visit.welcomes()
        asked = await visit.answers(price_message("2", version=2), recovered=True)
        assert asked["since"] == "c1"
        update = await next_of(updates)
        assert update.value is not None
        assert update.value.version == 2
        assert (await until_status(feed, State.LIVE)).recovered


async def test_policy_ends_it_with_the_words_of_the_server() -> None:
    async with scripted() as server, a_feed(server) as feed:
        updates = feed.subscribe()
        visit = await server.visit()
        await visit.welcomes()
        await visit.says({"type": "ERROR", "message": "Too many messages"})
        await visit.closes(1008, "rate")
        with pytest.raises(FeedRefused, match=r"1008 \(rate\): Too many messages"):
            await next_of(updates)
        with pytest.raises(FeedRefused):
            await feed.snapshot()
        with pytest.raises(FeedRefused):
            await feed.wait_closed()
        with pytest.raises(FeedRefused):
            feed.subscribe()
        assert feed.is_closed
        assert [status.state async for status in feed.statuses()] == [State.CLOSED]


async def test_an_answer_that_is_final_ends_it_too() -> None:
    async with scripted() as server:
        server.refusals.append((HTTPStatus.FORBIDDEN, {}))
        async with a_feed(server) as feed:
            with pytest.raises(FeedRefused, match="HTTP 403 Forbidden: not now"):
                await feed.wait_closed()


async def test_the_secrets_of_an_address_are_in_no_line_and_no_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "stacks_feed_client")
    async with scripted() as server:
        server.refusals += [
            (HTTPStatus.SERVICE_UNAVAILABLE, {}),
            (HTTPStatus.FORBIDDEN, {}),
        ]
        url = f"ws://me:hunter2@127.0.0.1:{server.port}?token=hunter2"
        async with connect(url, options=eager()) as feed:
            with pytest.raises(FeedRefused) as refused:
                await feed.wait_closed()
    (line,) = [each for each in caplog.records if each.message == "connection lost"]
    shown = f"{server.url}/parties/prices/main"
    assert vars(line)["url"] == shown
    assert f"{refused.value}".startswith(f"{shown} refused: HTTP 403")


async def test_a_server_that_has_no_room_is_left_alone_as_long_as_it_asks() -> None:
    clock = ManualClock()
    async with scripted() as server:
        server.refusals.append((HTTPStatus.SERVICE_UNAVAILABLE, {"Retry-After": "7"}))
        async with a_feed(server, Options(clock=clock, draw=lambda: 0.0)) as feed:
            async with asyncio.timeout(LONG_S):
                await clock.until_asleep()
            assert "HTTP 503" in (feed.status.why or "")
            await clock.advance(6.9)
            assert clock.sleepers == 1
            await clock.advance(0.1)
            await server.visit()


async def test_where_nobody_listens_it_tries_the_next() -> None:
    async with scripted() as server:
        urls = ["ws://127.0.0.1:1", server.url]
        async with connect(*urls, options=eager()) as feed:
            visit = await server.visit()
            await visit.welcomes()
            status = await until_status(feed, State.LIVE)
            assert status.url.startswith(server.url)
            assert feed.url == status.url


async def test_silence_is_told_and_ends_the_connection() -> None:
    clock = ManualClock()
    async with (
        scripted() as server,
        a_feed(server, Options(clock=clock, draw=lambda: 0.0)) as feed,
        contextlib.aclosing(feed.statuses()) as statuses,
    ):
        visit = await server.visit()
        await visit.welcomes(heartbeat_ms=1_000)
        await until_status(feed, State.LIVE)
        async with asyncio.timeout(LONG_S):
            await clock.until_asleep()
            await clock.advance(4.0)
            await server.visit()
            heard = [await anext(statuses)]
            while heard[-1].state is not State.STALE:
                heard.append(await anext(statuses))
        assert heard[-1].why == "silent for more than 3 s"


async def test_a_missing_message_makes_it_come_back() -> None:
    async with scripted() as server, a_feed(server) as feed:
        updates = feed.subscribe()
        visit = await server.visit()
        await visit.welcomes("seq", "resume")
        await visit.says({"seq": 2, **price_message(version=1)})
        visit = await server.visit()
        await visit.welcomes()
        await visit.answers(price_message(version=1))
        await next_of(updates)
        assert feed.counts.gaps == 1


async def test_a_slow_reader_gets_the_newest_of_each_key() -> None:
    options = Options(buffer=2, draw=lambda: 0.0)
    async with scripted() as server, a_feed(server, options) as feed:
        updates = feed.subscribe()
        visit = await server.visit()
        await visit.welcomes()
        await visit.answers(*(price_message(version=each) for each in range(1, 6)))
        async with asyncio.timeout(LONG_S):
            await feed.snapshot()
        heard = [await next_of(updates) for _ in range(2)]
        assert [u.value and u.value.version for u in heard] == [1, 5]
        assert feed.counts.conflated == updates.conflated == 3


async def test_a_second_subscription_begins_with_what_is_known() -> None:
    async with scripted() as server, a_feed(server) as feed:
        feed.subscribe(".stx")
        visit = await server.visit()
        await visit.welcomes()
        await visit.answers(price_message(version=1))
        await until_status(feed, State.LIVE)
        async with feed.subscribe("stx") as second:
            assert (await next_of(second)).key == ".stx"
            assert (await second.snapshot()).keys() == {".stx"}
        assert feed.view.keys() == {".stx"}
        second.close()
        assert [update async for update in second] == []


async def test_closing_ends_whoever_waits() -> None:
    async with scripted() as server, asyncio.TaskGroup() as group:
        async with a_feed(server) as feed:
            updates = feed.subscribe()
            waiting = group.create_task(anext(updates, None))
            ending = group.create_task(feed.wait_closed())
            await server.visit()
        assert await waiting is None
        await ending
        with pytest.raises(FeedClosed):
            feed.subscribe()
        with pytest.raises(FeedClosed):
            await feed.snapshot()


async def test_without_a_subscription_there_is_no_snapshot() -> None:
    async with scripted() as server, a_feed(server) as feed:
        with pytest.raises(ValueError, match="nothing is subscribed"):
            await feed.snapshot()


async def test_what_the_program_raises_comes_out_as_it_is() -> None:
    async with scripted() as server:
        with pytest.raises(LookupError, match="mine"):
            async with a_feed(server):
                raise LookupError("mine")


async def test_ids_that_are_not_taken_are_known() -> None:
    async with scripted() as server, a_feed(server) as feed:
        feed.subscribe("nonsense")
        visit = await server.visit()
        await visit.welcomes()
        await visit.answers(ignored=[{"id": "nonsense", "why": "invalid"}])
        await until_status(feed, State.LIVE)
        assert feed.ignored == {"nonsense": "invalid"}
