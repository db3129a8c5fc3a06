"""The client library against a server that does as it is told, on real sockets."""

import asyncio
import contextlib
import logging
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from http import HTTPStatus
from typing import Any

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
from stacks_feed_client.core.reading import Message
from tests.support.client_talk import price_message
from tests.support.clock import ManualClock
from tests.support.feeding import eager, next_of, until_status
from tests.support.scripted_feed import Scripted, answering, scripted
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


async def test_after_it_sent_too_much_it_comes_back() -> None:
    async with scripted() as server, a_feed(server) as feed:
        updates = feed.subscribe()
        visit = await server.visit()
        await visit.welcomes()
        await visit.says({"type": "ERROR", "message": "Too many messages"})
        await visit.closes(1008, "too many messages")
        visit = await server.visit()
        await visit.welcomes()
        await visit.answers(price_message(version=1))
        assert (await next_of(updates)).key == ".stx"


async def test_policy_ends_it_with_the_words_of_the_server() -> None:
    async with scripted() as server, a_feed(server) as feed:
        updates = feed.subscribe()
        visit = await server.visit()
        await visit.welcomes()
        await visit.says({"type": "ERROR", "message": "Too many errors"})
        await visit.closes(1008, "errors")
        with pytest.raises(FeedRefused, match=r"1008 \(errors\): Too many errors"):
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


async def test_an_address_that_refuses_for_good_leaves_the_others() -> None:
    async with scripted() as wrong, scripted() as right:
        wrong.refusals += [(HTTPStatus.NOT_FOUND, {}), (HTTPStatus.NOT_FOUND, {})]
        async with connect(wrong.url, right.url, options=eager()) as feed:
            visit = await right.visit()
            await visit.welcomes()
            status = await until_status(feed, State.LIVE)
            assert status.url.startswith(right.url)
            right.refusals.append((HTTPStatus.UPGRADE_REQUIRED, {}))
            await visit.closes(1001)
            with pytest.raises(FeedRefused, match="HTTP 426"):
                await feed.wait_closed()


def refused(*headers: str, status: str = "503 Busy") -> bytes:
    lines = [f"HTTP/1.1 {status}", *headers, "Content-Length: 0", "", ""]
    return "\r\n".join(lines).encode("latin-1")


NOW = "Date: Mon, 30 Nov 2026 21:00:00 GMT"
FAR_ZONE = "Thu, 01 Jan 2026 00:00:00 +9999999999999"
FOUND = "302 Found"


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(refused("Retry-After: 1", "Retry-After: 2"), id="two waits"),
        pytest.param(refused("Retry-After: 1", NOW, NOW), id="two dates"),
        pytest.param(refused(f"Retry-After: {FAR_ZONE}", NOW), id="a wait in no zone"),
        pytest.param(
            refused("Retry-After: Thu, 01 Jan 2026 00:00:00 GMT", f"Date: {FAR_ZONE}"),
            id="a date in no zone",
        ),
        pytest.param(
            refused("Location: ws://127.0.0.1:99999/x", status=FOUND), id="to no port"
        ),
        pytest.param(refused("Location: //[", status=FOUND), id="to no address"),
        pytest.param(
            refused("Location: /a", "Location: /b", status=FOUND), id="to two places"
        ),
        pytest.param(
            refused("Location: ws://%ff:%ff@127.0.0.1:1/x", status=FOUND), id="as whom"
        ),
        pytest.param(refused("Location: ws://u@127.0.0.1:1/", status=FOUND), id="as u"),
        pytest.param(refused("Location: ws://a..b/x", status=FOUND), id="to no host"),
        pytest.param(
            refused(f"Location: ws://{'a' * 70}.x/", status=FOUND), id="to a long label"
        ),
        pytest.param(refused("Location: /", status=FOUND), id="to itself"),
        pytest.param(refused(status="308 Odd"), id="to nowhere"),
        pytest.param(b"HTTP/1.1 503 \xff\xfe\r\n\r\n", id="a reason in no encoding"),
        pytest.param(b"HTTP/1.1 1000 X\r\n\r\n", id="a status that is none"),
        pytest.param(
            b"HTTP/1.1 503 X\r\nContent-Length: -5\r\n\r\n", id="a length below 0"
        ),
        pytest.param(
            b"HTTP/1.1 503 X\r\nContent-Length: %b\r\n\r\n" % (b"9" * 5_000),
            id="a length of thousands of digits",
        ),
        pytest.param(
            b"HTTP/1.1 503 X\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", id="chunks"
        ),
        pytest.param(b"\x00" * 5_000, id="no HTTP"),
    ],
)
async def test_an_odd_answer_costs_a_try_and_the_next_address_is_tried(
    answer: bytes,
) -> None:
    async with answering(answer) as odd, scripted() as right:
        async with connect(odd.url, right.url, options=eager()) as feed:
            visit = await right.visit()
            await visit.welcomes()
            await until_status(feed, State.LIVE)
            assert feed.counts.unusable == 0
        assert len(odd.asked) == 1


SECRETS = {"Authorization": "Bearer hunter2", "X-Api-Key": "hunter2", "Cookie": "c=1"}


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary Redirect"])
async def test_a_redirect_is_not_followed_and_is_told(status: str) -> None:
    clock = ManualClock()
    options = Options(link=LinkOptions(headers=SECRETS), clock=clock, draw=lambda: 0.5)
    async with answering(b"") as elsewhere:
        location = f"Location: {elsewhere.url}/steal?token=hunter2"
        async with (
            answering(refused(location, status=status)) as leading,
            connect(leading.url, options=options) as feed,
        ):
            async with asyncio.timeout(LONG_S):
                await clock.until_asleep()
            assert feed.status.why == (
                f"HTTP {status}: redirects are not followed; this one leads to "
                f"{elsewhere.url}/steal"
            )
            await clock.advance(0.5)
            async with asyncio.timeout(LONG_S):
                await clock.until_asleep()
            assert len(leading.asked) == 2
        assert elsewhere.asked == []


HUGE = 10**4_000


@pytest.mark.parametrize(
    "message",
    [
        {"type": "HEARTBEAT", "timestamp": HUGE, "observed": {"prices": 1}},
        {"type": "SHUTDOWN", "reconnectInMs": HUGE},
        {"type": "PONG", "timestamp": HUGE},
        price_message(str(HUGE), version=HUGE),
    ],
    ids=lambda message: str(message["type"]),
)
async def test_numbers_of_thousands_of_digits_end_nothing(
    message: dict[str, object],
) -> None:
    async with scripted() as server, a_feed(server) as feed:
        updates = feed.subscribe()
        visit = await server.visit()
        await visit.hears("HELLO")
        welcome = {"type": "WELCOME", "features": ["heartbeat"], "heartbeatMs": HUGE}
        await visit.says(welcome, message, price_message(version=1))
        assert (await next_of(updates)).key == ".stx"
        assert feed.counts.connections == 1


async def test_a_bug_that_a_message_brings_out_is_logged_once_and_survived(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fails(said: Message) -> Iterator[Price | None]:
        raise KeyError(said["type"])

    async with (
        scripted() as one,
        scripted() as other,
        connect(one.url, other.url, options=eager()) as feed,
    ):
        books = feed._machine.books
        party, books.party = books.party, replace(books.party, read=fails)
        updates = feed.subscribe()
        for server in (one, other):
            visit = await server.visit()
            await visit.welcomes()
            await visit.hears("SUBSCRIBE")
            await visit.says(price_message(version=1))
            await visit.gone()
        books.party = party
        visit = await one.visit()
        await visit.welcomes()
        await visit.answers(price_message(version=1))
        assert (await next_of(updates)).key == ".stx"
        assert feed.counts.unusable == 2
    (line,) = [each for each in caplog.records if each.levelname == "ERROR"]
    assert line.exc_info is not None
    assert line.exc_info[0] is KeyError


async def test_a_bug_in_what_is_sent_is_logged_once_and_survived(
    caplog: pytest.LogCaptureFixture,
) -> None:
    no_name: Any = ["no name of a field"]
    async with scripted() as server, a_feed(server) as feed:
        books = feed._machine.books
        party, books.party = books.party, replace(books.party, ids_field=no_name)
        updates = feed.subscribe()
        for _ in range(2):
            visit = await server.visit()
            await visit.welcomes()
            await visit.gone()
        books.party = party
        visit = await server.visit()
        await visit.welcomes()
        await visit.answers(price_message(version=1))
        assert (await next_of(updates)).key == ".stx"
        assert feed.counts.unusable == 2
    (line,) = [each for each in caplog.records if each.levelname == "ERROR"]
    assert line.exc_info is not None
    assert line.exc_info[0] is TypeError


async def test_a_bug_while_connecting_is_logged_once_and_retried(
    caplog: pytest.LogCaptureFixture,
) -> None:
    # Stands for anything that nobody expected: no number, found only when it is used.
    open_s: Any = "ten seconds"
    options = Options(link=LinkOptions(open_s=open_s), draw=lambda: 0.0)
    async with scripted() as server, connect(server.url, options=options) as feed:
        async with asyncio.timeout(LONG_S):
            while feed.counts.unusable < 3:
                await feed.changes.wait()
        assert feed.status.why == "the answer cannot be handled: TypeError"
    errors = [each for each in caplog.records if each.levelname == "ERROR"]
    assert [each.name for each in errors] == ["stacks_feed_client"]


async def test_what_this_client_closes_itself_is_told_as_that() -> None:
    clock = ManualClock()
    options = Options(
        link=LinkOptions(message_bytes=1_000), clock=clock, draw=lambda: 0.5
    )
    async with scripted() as server, a_feed(server, options) as feed:
        visit = await server.visit()
        await visit.welcomes()
        await visit.says({"type": "NEWS", "text": "x" * 2_000})
        status = await until_status(feed, State.CONNECTING)
        assert (status.why or "").startswith("closed by this client with 1009")
        assert "1006" not in (status.why or "")


async def test_a_connection_that_breaks_off_is_told_as_that() -> None:
    options = Options(clock=ManualClock(), draw=lambda: 0.5)
    async with scripted() as server, a_feed(server, options) as feed:
        visit = await server.visit()
        await visit.welcomes()
        await until_status(feed, State.LIVE)
        visit.socket.transport.abort()
        status = await until_status(feed, State.CONNECTING)
        assert status.why == "the connection broke off without a close (1006)"


@pytest.mark.parametrize(
    ("wrong", "error"),
    [("*", "'\\*' is no id"), ("S" * 70_000, "no id has 70000 characters")],
)
async def test_what_can_be_no_id_is_refused_at_once(wrong: str, error: str) -> None:
    async with scripted() as server, a_feed(server) as feed:
        with pytest.raises(ValueError, match=error):
            feed.subscribe(".stx", wrong)
        with pytest.raises(ValueError, match="nothing is subscribed"):
            await feed.snapshot()


def test_what_can_never_be_connected_to_is_said_at_once() -> None:
    with pytest.raises(ValueError, match="ssl"):
        connect(
            "ws://a.example",
            options=Options(link=LinkOptions(ssl=ssl.create_default_context())),
        )
    with pytest.raises(ValueError, match=r"ws://a\.example/.* username") as refused_:
        connect("ws://hunter2@a.example")
    assert "hunter2" not in f"{refused_.value}"


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


async def test_a_wrong_proxy_is_told_without_its_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("no_proxy", "NO_PROXY", "socks_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", "ftp://me:hunter2@proxy.example")
    options = Options(clock=ManualClock(), draw=lambda: 0.5)
    async with connect("ws://feed.example", options=options) as feed:
        async with asyncio.timeout(LONG_S):
            while (why := feed.status.why) is None:
                await feed.changes.wait()
        assert why.startswith("the proxy's address is wrong")
        assert "hunter2" not in why


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
