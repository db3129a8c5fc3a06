"""Readers of a log that wait at its end, and times by which it is searched."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from eventlog.port import EventLog, Partition, Reader, Record
from tests.support.log_process import process
from tests.support.logs import (
    LONG_S,
    RAW,
    SHORT_S,
    TABLE,
    OpenHandle,
    Place,
    append,
    entry,
    next_records,
    raw,
    read_one,
    table,
    texts,
)


@asynccontextmanager
async def waiting(
    reader: Reader, partition: Partition
) -> AsyncIterator[asyncio.Task[list[str]]]:
    """Let a reader wait for records beside the body, and be done by its end."""

    async def read() -> list[str]:
        return texts(await next_records(reader, partition))

    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(read(), name="a waiting reader")
        await asyncio.sleep(0)
        yield task


async def let_run(turns: int) -> None:
    """Let the other tasks run for some turns of the loop."""
    for _ in range(turns):
        await asyncio.sleep(0)


async def test_a_waiting_reader_is_woken_by_an_append(log: EventLog) -> None:
    async with log.reader({raw(0): 0}) as reader:
        assert await reader.read(max_records=1, wait_s=SHORT_S) == {}
        async with waiting(reader, raw(0)) as read:
            await append(log, raw(0), "news")
        assert read.result() == ["news"]


async def test_a_waiting_reader_is_woken_by_a_commit(log: EventLog) -> None:
    async with log.own(0) as writer, log.reader({table(0): 0, raw(1): 0}) as reader:
        async with waiting(reader, table(0)) as read:
            await writer.commit({TABLE.name: [entry("news")]})
        assert read.result() == ["news"]


async def test_a_waiting_reader_is_woken_by_another_handle(
    log: EventLog, open_log: OpenHandle
) -> None:
    async with open_log() as other, log.reader({raw(0): 0}) as reader:
        async with waiting(reader, raw(0)) as read:
            await append(other, raw(0), "news")
        assert read.result() == ["news"]


@pytest.mark.parametrize("action", ["append", "commit"])
async def test_a_waiting_reader_is_woken_by_another_process(
    log: EventLog, place: Place, action: str
) -> None:
    async with (
        log.reader({raw(0): 0}) as reader,
        waiting(reader, raw(0)) as read,
        process(place, action, "news"),
    ):
        assert await read == ["news"]


async def test_a_reader_that_waits_in_vain_reads_on_later(log: EventLog) -> None:
    async with log.reader({raw(0): 0}) as reader:
        for number in range(3):
            assert await reader.read(max_records=10, wait_s=SHORT_S) == {}
            await append(log, raw(0), str(number))
            assert texts(await next_records(reader, raw(0))) == [str(number)]


async def test_a_cancelled_read_loses_nothing(log: EventLog) -> None:
    async with log.reader({raw(0): 0}) as reader:
        for turns in range(8):
            await append(log, raw(0), str(turns))
            async with waiting(reader, raw(0)) as read:
                await let_run(turns)
                read.cancel()
            if read.cancelled():
                assert texts(await next_records(reader, raw(0))) == [str(turns)]
            else:
                assert read.result() == [str(turns)]


async def test_a_cancelled_append_leaves_the_handle_usable(log: EventLog) -> None:
    async with asyncio.TaskGroup() as tasks:
        cut_off = tasks.create_task(append(log, raw(0), "perhaps"), name="cut off")
        await asyncio.sleep(0)
        cut_off.cancel()
    await append(log, raw(0), "surely")
    assert texts(await read_one(log, raw(0)))[-1] == "surely"


async def test_a_cancelled_commit_is_whole_or_absent(log: EventLog) -> None:
    for turns in range(4):
        async with log.own(0) as writer:
            part = [entry(str(turns))] * 50
            async with asyncio.TaskGroup() as tasks:
                commit = writer.commit({RAW.name: part, TABLE.name: part})
                cut_off = tasks.create_task(commit, name="cut off")
                await let_run(turns)
                cut_off.cancel()
    async with log.own(0) as writer:
        await writer.commit({RAW.name: [entry("after")], TABLE.name: [entry("after")]})
    written = texts(await read_one(log, raw(0)))
    assert written == texts(await read_one(log, table(0)))
    assert all(written.count(str(turns)) in {0, 50} for turns in range(4))


async def test_positions_by_log_time_are_those_of_the_running_maximum(
    log: EventLog,
) -> None:
    records: list[Record] = []
    async with log.own(0) as writer, asyncio.timeout(LONG_S):
        while len({record.time_ms for record in records}) < 4:
            await append(log, raw(0), "appended")
            await writer.commit({RAW.name: [entry("committed")] * 2})
            records = await read_one(log, raw(0))
    (end,) = (await log.ends([raw(0)])).values()
    asked = {record.time_ms + step for record in records for step in (-1, 0, 1)}
    for time_ms in sorted(asked):
        expected = next((r.offset for r in records if r.time_ms >= time_ms), end)
        found = await log.positions_at([raw(0), raw(1)], time_ms=time_ms)
        assert found == {raw(0): expected, raw(1): 0}


async def test_append_times_are_those_of_the_log(log: EventLog) -> None:
    await append(log, raw(0), "a")
    (record,) = await read_one(log, raw(0))
    (at,) = (await log.positions_at([raw(0)], time_ms=record.time_ms)).values()
    assert at == record.offset
