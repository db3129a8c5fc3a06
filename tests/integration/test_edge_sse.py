"""Server-sent events over real sockets: the same messages as on a WebSocket."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge.core.cursor import parse_cursor
from edge.service import running as running_edge
from eventlog.port import EventLog
from schemas.ids import STX
from schemas.log import World
from tests.support.deaf import metric
from tests.support.event_stream import Block, streaming
from tests.support.held_log import HeldLog
from tests.support.serving import (
    ANNE,
    BOB,
    CHA,
    LONG_S,
    NOW_MS,
    PARTITIONS,
    WELSH,
    Serving,
    StallingClock,
    a_log,
    balance,
    config_of,
    demanded,
    identity,
    price,
    serving,
    the_tokens,
    two_prices,
    update_of,
)

STREAMING = 'stacks_feed_clients{party="prices"}'
OPEN = "stacks_feed_open_connections"
TWO_PRICES = [update_of(STX, 0.63), update_of("stx", 0.63), update_of(CHA, 0.4684)]


async def a_table(log: EventLog) -> None:
    await the_tokens(log)
    await balance(log, ANNE, CHA, 1_500_000)


async def test_a_stream_greets_then_gives_all_then_what_changes(tmp_path: Path) -> None:
    async with (
        serving(tmp_path, before=two_prices) as running,
        streaming(running) as stream,
    ):
        greeting, batch = [await stream.block() for _ in range(2)]
        assert greeting.retry_ms == 1_000
        assert greeting.data is not None
        assert (greeting.data["type"], greeting.id) == ("SERVER_INFO", None)
        assert batch.data is not None
        assert batch.data["prices"] == TWO_PRICES
        assert batch.id is not None
        await price(running.log, CHA, "5", version=2)
        update = await stream.block()
        assert update.data == update_of(CHA, 5)
        assert update.id not in {None, batch.id}
    for line in (
        "http/1.1 200 ok\r\n",
        "content-type: text/event-stream\r\n",
        "cache-control: no-store, no-transform\r\n",
        "x-accel-buffering: no\r\n",
        "connection: close\r\n",
        "vary: accept, accept-encoding, origin\r\n",
        "access-control-allow-origin: *\r\n",
    ):
        assert line in stream.head
    assert "chunked" not in stream.head
    assert "content-length" not in stream.head


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (f"?tokens={CHA},{WELSH},nonsense,stx", [TWO_PRICES[2], TWO_PRICES[1]]),
        ("?tokens=", []),
        ("?tokens=nonsense", []),
    ],
)
async def test_a_stream_is_of_the_ids_in_its_query(
    tmp_path: Path, query: str, found: list[Any]
) -> None:
    async with (
        serving(tmp_path, before=two_prices) as running,
        streaming(running, f"/party/x{query}") as stream,
    ):
        await stream.next()
        assert [await stream.next() for _ in found] == found
        await price(running.log, STX, "1", version=2)
        await price(running.log, CHA, "1", version=2)
        if found:
            news = [await stream.next() for _ in found]
            assert {each["contractId"] for each in news} == {"stx", CHA}
        else:
            await running.taken_in()
            await running.clock.until_asleep(1)
            await running.clock.advance(15)
            assert await stream.block() == Block(comment="")


async def test_a_stream_of_users_has_them_read_until_it_ends(tmp_path: Path) -> None:
    path = f"/parties/balances/main?users={ANNE},{BOB}"
    async with serving(tmp_path, before=a_table) as running:
        async with streaming(running, path) as stream:
            _, batch = await stream.until_id()
            held = [(b["userId"], b["balance"]) for b in batch["balances"]]
            assert held == [(ANNE, 1_500_000), (ANNE, 0), (BOB, 0), (BOB, 0)]
            await balance(running.log, BOB, WELSH, 3)
            update = await stream.next()
            assert (update["type"], update["userId"]) == ("BALANCE_UPDATE", BOB)
            assert "version" not in update
        # In the order of partitions, and each as often as it was written.
        while dict(await demanded(running.log)) != {
            f"{ANNE}|e1": None,
            f"{BOB}|e1": None,
        }:
            await running.taken_in()


async def a_cursor(running: Serving, path: str = "/prices") -> str:
    async with streaming(running, path) as stream:
        await stream.until_id()
    assert stream.last_id is not None
    return stream.last_id


@pytest.mark.parametrize("where", ["header", "query", "both", "polyfill"])
async def test_who_comes_back_gets_what_changed(tmp_path: Path, where: str) -> None:
    async with serving(tmp_path, before=two_prices) as running:
        cursor = await a_cursor(running)
        await price(running.log, CHA, "5", version=2)
        await running.taken_in()
        now = await a_cursor(running)
        with_header = where in {"header", "both"}
        headers = {"Last-Event-ID": cursor} if with_header else {}
        asked = {
            "header": "",
            "query": f"&since={cursor}",
            "both": f"&since={now}&lastEventId={now}",
            # One that keeps the query of the first request, and cannot set headers.
            "polyfill": f"&since={now}&lastEventId={cursor}",
        }
        path = f"/prices?tokens=stx,{CHA}{asked[where]}"
        async with streaming(running, path, headers=headers) as stream:
            info, subscribed, *news = await stream.until_id()
    assert (info["type"], subscribed["type"]) == ("SERVER_INFO", "SUBSCRIBED")
    assert (subscribed["recovered"], news) == (True, [update_of(CHA, 5)])


@pytest.mark.parametrize(
    ("cursor", "why"),
    [
        ("nonsense", "unreadable"),
        ("1.ffffffffffff.1.0-0", "other-log"),
        ("2.ffffffffffff.1.0-0.0", "other-log"),
        # Of version 1, or from before all terms were known.
        ("1.000000000000.ffffffffffff.1-1", "other-timeline"),
        ("2.000000000000.ffffffffffff.1-1.0", "other-timeline"),
    ],
)
async def test_who_cannot_go_on_is_told_and_gets_everything(
    tmp_path: Path, cursor: str, why: str
) -> None:
    async with (
        serving(tmp_path, before=two_prices) as running,
        streaming(running, headers={"Last-Event-ID": cursor}) as stream,
    ):
        _, subscribed, batch = await stream.until_id()
    assert (subscribed["recovered"], subscribed["why"]) == (False, why)
    assert batch["prices"] == TWO_PRICES


async def test_a_stream_waits_for_a_cursor_that_is_ahead(tmp_path: Path) -> None:
    async with serving(tmp_path, before=two_prices) as running:
        cursor = parse_cursor(await a_cursor(running))
        assert cursor is not None
        positions = tuple(position + 1 for position in cursor.positions)
        ahead = replace(cursor, positions=positions)
        headers = {"Last-Event-ID": ahead.text()}
        async with streaming(running, headers=headers) as stream:
            await stream.next()
            await running.taken_in()  # one record in each partition at least
            _, *news = await stream.until_id()
            assert news == []


async def test_a_quiet_stream_is_kept_open_by_comments(tmp_path: Path) -> None:
    async with (
        serving(tmp_path, before=two_prices) as running,
        streaming(running) as stream,
    ):
        await stream.until_id()
        await running.clock.until_asleep(1)
        # A comment every 15 s, and none of the pings that WebSockets get.
        for _ in range(4):
            await running.clock.advance(15)
            assert await stream.block() == Block(comment="")
        await price(running.log, CHA, "5", version=2)
        assert await stream.next() == update_of(CHA, 5)


async def test_a_reader_that_leaves_is_forgotten(tmp_path: Path) -> None:
    async with serving(tmp_path, before=two_prices) as running:
        before, connected = (
            await metric(running, STREAMING),
            await metric(running, OPEN),
        )
        async with streaming(running) as stream:
            # What it still says is nothing to us.
            stream.writer.write(b"GET /prices HTTP/1.1\r\nHost: x\r\n\r\n" * 100)
            await stream.until_id()
            assert await metric(running, STREAMING) == before + 1
            await price(running.log, CHA, "5", version=2)
            assert await stream.next() == update_of(CHA, 5)
        async with asyncio.timeout(LONG_S):
            while await metric(running, STREAMING) > before:
                await running.taken_in()
            while await metric(running, OPEN) > connected:
                await running.taken_in()


async def test_a_reader_of_the_oldest_http_is_served_alike(tmp_path: Path) -> None:
    async with (
        serving(tmp_path, before=two_prices) as running,
        streaming(running, version="1.0") as stream,
    ):
        assert stream.head.startswith("http/1.0 200 ok\r\n")
        _, batch = await stream.until_id()
        assert batch["prices"] == TWO_PRICES


async def test_streams_end_whole_when_the_edge_stops(tmp_path: Path) -> None:
    async with serving(tmp_path, before=two_prices) as running:
        opened = streaming(running, f"/prices?tokens={CHA}")
        stream = await opened.__aenter__()
        await stream.until_id()
        await price(running.log, CHA, "5", version=2)
        await running.taken_in()
    rest = await stream.rest()
    assert rest.startswith("id: ")
    assert rest.endswith("\n\n")
    assert rest.count("data: ") == 1
    await opened.__aexit__(None, None, None)


async def test_who_comes_too_early_is_told_to_come_again(tmp_path: Path) -> None:
    async with a_log(tmp_path) as log:
        await identity(log, World.SIMULATED)
        held, clock = HeldLog(log), StallingClock(NOW_MS)
        held.free.clear()
        opened = running_edge(
            held.log,
            config_of(),
            partitions=PARTITIONS,
            clock=clock,
            draw=lambda: 0.5,
        )
        async with opened as edge, streaming(Serving(log, edge, clock)) as stream:
            assert "http/1.1 200 ok" in stream.head
            assert await stream.block() == Block(retry_ms=3_000)
            said = (await stream.block()).comment
            assert said is not None
            assert said.startswith("the table is not read yet")
            assert await stream.rest() == ""


async def test_head_of_a_stream_is_its_head_alone(tmp_path: Path) -> None:
    async with serving(tmp_path) as running, running.http() as http:
        headed = await http.head("/prices", headers={"Accept": "text/event-stream"})
    assert (headed.status_code, headed.content) == (200, b"")
    assert headed.headers["content-type"] == "text/event-stream"
    assert headed.headers["cache-control"] == "no-store, no-transform"
