"""Answers to GET that cost: readers who are slow, and requests that are too many."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from edge.config import Allowances
from edge.core.cursor import parse_cursor
from edge.core.limits import Rate
from eventlog.port import EventLog
from schemas.ids import ContractId, UserId
from tests.support.deaf import closes, metric
from tests.support.event_stream import streaming
from tests.support.serving import (
    BOB,
    CHA,
    LONG_S,
    Serving,
    balance,
    prices,
    serving,
    the_tokens,
)

# An answer of about 2 MB; a kernel takes less than half of that for a slow reader.
TOKENS = [ContractId(f"{BOB}.token-{number:06}") for number in range(12_000)]
BUFFER_BYTES = 40_000
RECEIVED_BYTES = 16_384
PAGE = {"Origin": "https://page.example"}


async def many(log: EventLog) -> None:
    await prices(log, TOKENS, "1")


@dataclass
class SlowReader:
    """A client that has asked for everything and reads when the test says so."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def body(self) -> bytes:
        """Read the answer to its end."""
        self.reader._transport.resume_reading()  # type: ignore[attr-defined]
        async with asyncio.timeout(LONG_S):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
            return await self.reader.readexactly(length)

    async def is_cut_off(self) -> bool:
        """Read on; tell whether the answer broke off."""
        try:
            await self.body()
        except (asyncio.IncompleteReadError, ConnectionError):
            return True
        return False


@asynccontextmanager
async def slow(running: Serving, path: str = "/prices") -> AsyncIterator[SlowReader]:
    """Ask, and read nothing of the answer."""
    raw = socket.socket()
    raw.setblocking(False)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVED_BYTES)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(raw, ("127.0.0.1", running.edge.port))
    reader, writer = await asyncio.open_connection(sock=raw, limit=RECEIVED_BYTES)
    reader._transport.pause_reading()  # type: ignore[attr-defined]
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    try:
        yield SlowReader(reader, writer)
    finally:
        writer.transport.abort()


async def under_way(running: Serving) -> float:
    return await metric(running, "stacks_feed_answers_under_way")


async def until_under_way(running: Serving, count: int) -> None:
    async with asyncio.timeout(LONG_S):
        while await under_way(running) != count:
            pass


async def test_readers_of_one_answer_share_its_bytes(tmp_path: Path) -> None:
    opened = serving(tmp_path, before=many, client_buffer_bytes=BUFFER_BYTES)
    async with opened as running, AsyncExitStack() as stack:
        readers = [await stack.enter_async_context(slow(running)) for _ in range(5)]
        await until_under_way(running, 5)
        held = await metric(running, "stacks_feed_answer_bytes")
        bodies = [await each.body() for each in readers]
        assert [len(each) for each in bodies] == [len(bodies[0])] * 5
        assert len(json.loads(bodies[0])["prices"]) == len(TOKENS)
        # The end of each, with its time, is its own.
        assert len(bodies[0]) <= held < len(bodies[0]) + 5_000
        await until_under_way(running, 0)
        assert await metric(running, "stacks_feed_answer_bytes") == 0


async def test_who_takes_nothing_of_an_answer_is_dropped(tmp_path: Path) -> None:
    opened = serving(
        tmp_path, before=many, client_buffer_bytes=BUFFER_BYTES, stall_s=30
    )
    async with opened as running, slow(running) as reader:
        await until_under_way(running, 1)
        before = await closes(running, "stalled")
        async with asyncio.timeout(LONG_S):
            while await closes(running, "stalled") == before:
                await running.clock.advance(5)
        assert await closes(running, "stalled") == before + 1
        assert await reader.is_cut_off()
        await until_under_way(running, 0)


async def test_who_takes_something_now_and_then_gets_it_all(tmp_path: Path) -> None:
    opened = serving(
        tmp_path, before=many, client_buffer_bytes=BUFFER_BYTES, stall_s=30
    )
    async with opened as running, slow(running) as slow_reader:
        await until_under_way(running, 1)
        read = b""
        transport = slow_reader.reader._transport  # type: ignore[attr-defined]
        for _ in range(12):
            # As much as the edge must write on for.
            transport.resume_reading()
            async with asyncio.timeout(LONG_S):
                read += await slow_reader.reader.readexactly(60_000)
            transport.pause_reading()
            await running.clock.advance(5)
        assert await under_way(running) == 1
        head, _, start = read.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        transport.resume_reading()
        async with asyncio.timeout(LONG_S):
            rest = await slow_reader.reader.readexactly(length - len(start))
        assert len(json.loads(start + rest)["prices"]) == len(TOKENS)


async def test_answers_that_hold_too_much_are_cut_off_the_oldest_first(
    tmp_path: Path,
) -> None:
    settings: dict[str, Any] = {
        "client_buffer_bytes": BUFFER_BYTES,
        "answer_bytes": 3_000_000,
    }
    async with (
        serving(tmp_path, before=many, **settings) as running,
        AsyncExitStack() as stack,
    ):
        first, second = [
            await stack.enter_async_context(slow(running)) for _ in range(2)
        ]
        await until_under_way(running, 2)
        before = await closes(running, "answer bytes")
        # Another answer: the bytes of the one before are not shared with it.
        await prices(running.log, TOKENS[:1], "2")
        await running.taken_in()
        third = await stack.enter_async_context(slow(running))
        async with asyncio.timeout(LONG_S):
            while await closes(running, "answer bytes") < before + 2:
                pass
        assert await first.is_cut_off()
        assert await second.is_cut_off()
        assert len(json.loads(await third.body())["prices"]) >= len(TOKENS)


async def test_one_answer_may_be_longer_than_all_may_be(tmp_path: Path) -> None:
    opened = serving(tmp_path, before=many, answer_bytes=1_000)
    async with opened as running, running.http() as http:
        assert len((await http.get("/prices")).json()["prices"]) == len(TOKENS)


async def test_who_leaves_in_the_middle_of_an_answer_is_forgotten(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    opened = serving(tmp_path, before=many, client_buffer_bytes=BUFFER_BYTES)
    async with opened as running:
        async with slow(running):
            await until_under_way(running, 1)
        await until_under_way(running, 0)
    assert [each for each in caplog.records if each.levelname == "ERROR"] == []


async def test_a_long_answer_is_the_same_in_every_way_of_asking(tmp_path: Path) -> None:
    async with serving(tmp_path, before=many) as running, running.http() as http:
        plain = await http.get("/prices", headers={"Accept-Encoding": "identity"})
        packed = await http.get("/prices", headers={"Accept-Encoding": "gzip"})
        headed = await http.head("/prices", headers={"Accept-Encoding": "identity"})
        # One connection serves them all.
        assert plain.json() == packed.json()
        assert packed.headers["content-encoding"] == "gzip"
        assert headed.headers["content-length"] == plain.headers["content-length"]
        assert (headed.status_code, headed.content) == (200, b"")
        document = await http.get(
            "/openapi.json", headers={"Accept-Encoding": "identity"}
        )
        assert len(document.content) > 65_536
        assert document.headers["content-type"] == "application/json"


USERS = [f"{BOB}.user-{number:04}" for number in range(1_000)]


@pytest.mark.parametrize("query", [f"users={','.join(USERS)}", "since=CURSOR", ""])
async def test_others_have_their_turn_while_a_long_answer_is_made(
    tmp_path: Path, query: str
) -> None:
    async def held_by_many(log: EventLog) -> None:
        await the_tokens(log)
        for each in USERS:
            await balance(log, UserId(each), CHA, 1)

    async with (
        serving(tmp_path, before=held_by_many) as running,
        running.http() as http,
        running.http() as other,
    ):
        given = parse_cursor((await other.get("/prices")).headers["feed-cursor"])
        assert given is not None
        early = replace(given, positions=(1, 1)).text()
        query = query.replace("CURSOR", early)
        async with asyncio.TaskGroup() as group, asyncio.timeout(LONG_S):
            with running.clock.without_turns():
                made = group.create_task(http.get(f"/balances?{query}"))
                await running.clock.turn_taken.wait()
                assert (await other.get("/prices")).status_code == 200
                assert not made.done()
    answer = made.result().json()
    rows_of_each = 2 if query.startswith("users") else 1
    held = [each["userId"] for each in answer["balances"]]
    assert held == [user for user in USERS for _ in range(rows_of_each)]
    assert ("recovered" in answer) is query.startswith("since")


def limited(**settings: Any) -> dict[str, Any]:
    return {"allowances": Allowances(http_bytes_each=Rate(10_000, 50_000)), **settings}


async def test_requests_of_an_address_are_limited_by_what_they_cost(
    tmp_path: Path,
) -> None:
    origins = (PAGE["Origin"],)
    opened = serving(tmp_path, before=many, **limited(origins=origins))
    refused = 'stacks_feed_refused_total{reason="requests"}'
    async with opened as running, running.http() as http:
        before = await metric(running, refused)
        whole = await http.get("/prices", headers={"Accept-Encoding": "gzip"})
        assert whole.status_code == 200
        answer = await http.get("/prices", headers=PAGE)
        assert (answer.status_code, answer.json()["error"]) == (
            429,
            "too-many-requests",
        )
        assert answer.headers["access-control-allow-origin"] == PAGE["Origin"]
        made_bytes = len(whole.content)
        wait_s = int(answer.headers["retry-after"])
        assert (made_bytes - 50_000) / 10_000 <= wait_s <= made_bytes / 10_000
        for path in ("/health/live", "/health/ready", "/metrics"):
            assert (await http.get(path)).status_code == 200
        asked = {**PAGE, "Access-Control-Request-Method": "GET"}
        assert (await http.options("/prices", headers=asked)).status_code == 204
        with pytest.raises(InvalidStatus) as not_opened:
            await connect(f"ws://{running.host}/prices")
        assert not_opened.value.response.status_code == 429
        async with streaming(running) as stream:
            assert "http/1.1 200 ok" in stream.head
            assert (await stream.block()).retry_ms is not None
        assert await metric(running, refused) == before + 3
        await running.clock.advance(wait_s)
        assert (await http.get("/prices?tokens=stx")).status_code == 200


async def test_a_request_costs_something_whatever_it_is(tmp_path: Path) -> None:
    async with serving(tmp_path, **limited()) as running, running.http() as http:
        statuses = [(await http.get("/nothing")).status_code for _ in range(50)]
    assert statuses[:40] == [404] * 40
    assert statuses[-1] == 429


async def test_what_a_stream_tells_at_first_is_paid_for_as_it_is_made(
    tmp_path: Path,
) -> None:
    opened = serving(tmp_path, before=many, **limited())
    async with opened as running, running.http() as http:
        async with streaming(running) as stream:
            told = 0
            while told < 50_000:
                told += len(json.dumps((await stream.block()).data))
        answer = await http.get("/prices?tokens=stx")
        assert answer.status_code == 429
        # More than the flat price of a stream has to be made up for.
        assert int(answer.headers["retry-after"]) > 32_768 / 10_000


async def test_what_a_websocket_is_told_at_first_is_paid_for_as_it_is_made(
    tmp_path: Path,
) -> None:
    opened = serving(tmp_path, before=many, **limited())
    async with (
        opened as running,
        running.http() as http,
        connect(f"ws://{running.host}/prices") as socket,
    ):
        told = 0
        while told < 50_000:
            told += len(await socket.recv())
        assert (await http.get("/prices?tokens=stx")).status_code == 429


@pytest.mark.parametrize("deflate", [False, True])
async def test_a_subscribe_of_an_address_that_had_its_share_is_refused(
    tmp_path: Path, deflate: bool
) -> None:
    rate = Rate(10_000, 100_000)
    allowances = Allowances(http_bytes_each=rate)
    opened = serving(tmp_path, before=many, allowances=allowances, deflate=deflate)
    asked = json.dumps({"type": "SUBSCRIBE"})
    async with opened as running, connect(f"ws://{running.host}/prices") as socket:
        for _ in range(10):
            await socket.send(asked)
        said = {"type": ""}
        while said["type"] != "ERROR":
            said = json.loads(await socket.recv())
        assert said["message"] == "Too many bytes asked for from your address"
        await socket.wait_closed()
        assert socket.close_code == 1008
        # It may come back after a while, and have its answer.
        with pytest.raises(InvalidStatus) as turned_away:
            await connect(f"ws://{running.host}/prices")
        wait_s = int(turned_away.value.response.headers["retry-after"])
        await running.clock.advance(wait_s)
        async with connect(f"ws://{running.host}/prices") as again:
            assert json.loads(await again.recv())["type"] == "SERVER_INFO"


async def test_streams_are_paid_for_when_they_begin(tmp_path: Path) -> None:
    async with serving(tmp_path, **limited()) as running:
        async with streaming(running) as first, streaming(running) as second:
            for stream in (first, second):
                assert (await stream.block()).data is not None
            async with streaming(running) as third:
                assert (await third.block()).data is None
        with suppress(InvalidStatus):
            await connect(f"ws://{running.host}/prices")
