"""Readers of events that do not read, or not as fast as values change."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from eventlog.port import EventLog
from schemas.ids import ContractId
from tests.support.deaf import closes, metric
from tests.support.event_stream import EventStream, streaming
from tests.support.serving import (
    BOB,
    CHA,
    LONG_S,
    Serving,
    price,
    prices,
    serving,
)

TOKENS = [ContractId(f"{BOB}.token-{number}") for number in range(300)]
BUFFER_BYTES = 40_000


async def behind(running: Serving) -> float:
    return await metric(running, "stacks_feed_clients_behind")


@asynccontextmanager
async def stuck(running: Serving) -> AsyncIterator[tuple[EventStream, int]]:
    """Open a stream that the edge cannot write to any more, after so many rounds."""
    async with streaming(running, received_bytes=16_384) as stream:
        await stream.block()
        stream.stop_reading()
        rounds = 0
        while not await behind(running):
            rounds += 1
            await prices(running.log, TOKENS, f"{rounds}")
            await running.taken_in()
        yield stream, rounds


async def test_who_reads_late_gets_the_newest_values_and_then_an_id(
    tmp_path: Path,
) -> None:
    async with (
        serving(tmp_path, client_buffer_bytes=BUFFER_BYTES) as running,
        stuck(running) as (stream, rounds),
    ):
        last = rounds + 5
        for usd in range(rounds + 1, last + 1):
            await prices(running.log, TOKENS, f"{usd}")
            await running.taken_in()
            worst = 'stacks_feed_client_buffer_bytes{of="worst"}'
            assert await metric(running, worst) <= BUFFER_BYTES
        before = stream.last_id
        stream.read_on()
        seen: dict[str, float] = {}
        heard = 0
        while set(TOKENS) - {each for each, cost in seen.items() if cost == last}:
            block = await stream.block()
            assert block.data is not None
            each, cost = block.data.get("contractId"), block.data.get("price", 0.0)
            if each in TOKENS:
                heard += 1
                assert cost > seen.get(each, 0), "older, or twice"
                seen[each] = cost
        assert heard < last * len(TOKENS) - 300
        # It has everything again, and where it is.
        await price(running.log, CHA, "7")
        while (await stream.next()).get("contractId") != CHA:
            pass
        assert stream.last_id not in {None, before}
        assert await behind(running) == 0


async def test_who_takes_nothing_is_dropped_in_the_end(tmp_path: Path) -> None:
    async with (
        serving(tmp_path, client_buffer_bytes=BUFFER_BYTES) as running,
        stuck(running) as (stream, _),
    ):
        before = await closes(running, "stalled")
        await running.clock.until_asleep(1)
        for _ in range(8):
            await running.clock.advance(5)
        assert await closes(running, "stalled") == before + 1
        stream.read_on()
        async with asyncio.timeout(LONG_S):
            with suppress(ConnectionResetError):
                await stream.rest()
        assert await behind(running) == 0


async def many(log: EventLog) -> None:
    await prices(log, [f"{BOB}.one-of-many-{number}" for number in range(2_000)], "1")


async def test_who_leaves_in_the_middle_of_the_answer_is_forgotten(
    tmp_path: Path,
) -> None:
    streams = 'stacks_feed_clients{party="prices"}'
    opened = serving(tmp_path, before=many, client_buffer_bytes=BUFFER_BYTES)
    async with opened as running:
        before = await metric(running, streams)
        async with streaming(running, received_bytes=16_384) as stream:
            stream.stop_reading()
            while await behind(running) < 1:
                await running.taken_in()
            stream.writer.transport.abort()
        while await metric(running, streams) > before:
            await running.taken_in()
        assert await behind(running) == 0


async def test_a_stop_does_not_wait_for_who_takes_nothing(tmp_path: Path) -> None:
    async with serving(tmp_path, client_buffer_bytes=BUFFER_BYTES) as running:
        opened = stuck(running)
        stream, _ = await opened.__aenter__()
    # Cut off, and no frame of a WebSocket is among what it was sent.
    stream.read_on()
    read = b""
    async with asyncio.timeout(LONG_S):
        try:
            while more := await stream.reader.read(65_536):
                read += more
        except ConnectionResetError:
            pass
    assert b"\x88" not in read
    await opened.__aexit__(None, None, None)
