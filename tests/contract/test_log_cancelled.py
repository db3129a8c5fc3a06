"""Whoever is cancelled while a part of the log is being closed is cancelled."""

import asyncio

import pytest

from eventlog.port import EventLog
from tests.support.clock import settle
from tests.support.logs import RAW, append, raw


@pytest.mark.parametrize("turns", range(6))
async def test_a_cancellation_while_a_reader_closes_is_not_lost(
    log: EventLog, turns: int
) -> None:
    """The moments of the closing are tried one after another."""
    await log.create([RAW])
    await append(log, raw(0), "one")
    closing = asyncio.Event()

    async def read_and_close() -> None:
        async with log.reader({raw(0): 0}) as reader:
            await reader.read(max_records=1, wait_s=5)
            closing.set()
        await asyncio.Event().wait()

    reading = asyncio.ensure_future(read_and_close())
    await closing.wait()
    await settle(turns)
    reading.cancel()
    await asyncio.wait([reading], timeout=5)
    # A second one ends it in any case.
    was_cancelled = reading.done()
    reading.cancel()
    await asyncio.wait([reading])
    assert was_cancelled
