"""Readers of a SQLite log: seeks beside a read, and answers of bounded size."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from eventlog.port import Cleanup, Entry, EventLog, Partition, TopicSpec, UnknownTopic
from eventlog.sqlite import SqliteConfig, headers, open_sqlite, reader
from tests.support.logs import LONG_S, append, next_records, now_ms, read_one, texts

RAW = TopicSpec("raw", 2, Cleanup(compact=False, retention_ms=None))
PART, OTHER = Partition("raw", 0), Partition("raw", 1)


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[EventLog]:
    async with open_sqlite(SqliteConfig(tmp_path / "log", now_ms=now_ms)) as log:
        await log.create([RAW])
        yield log


async def test_a_seek_beside_a_read_wins(log: EventLog) -> None:
    await append(log, PART, "a", "b", "c")
    async with log.reader({PART: 0}) as opened, asyncio.TaskGroup() as tasks:
        read = tasks.create_task(next_records(opened, PART), name="read")
        await asyncio.sleep(0)
        opened.seek(PART, 2)
    assert texts(read.result()) == ["c"]


async def test_only_partitions_of_the_reader_can_be_sought(log: EventLog) -> None:
    async with log.reader({PART: 0}) as opened:
        with pytest.raises(UnknownTopic):
            opened.seek(OTHER, 0)


async def test_an_answer_is_bounded_in_bytes(
    log: EventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "_MAX_BYTES", 100_000)
    await log.append(RAW.name, [(0, Entry(None, b"x" * 1_000))] * 2_000)
    async with log.reader({PART: 0}) as opened:
        batches = await opened.read(max_records=2_000, wait_s=LONG_S)
        assert len(batches[PART]) == opened.position(PART) < 2_000
    assert len(await read_one(log, PART)) == 2_000


async def test_the_bound_in_bytes_is_one_of_all_partitions_together(
    log: EventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "_MAX_BYTES", 1_000)
    for number in (0, 1):
        await log.append(RAW.name, [(number, Entry(b"k" * 1_000, None))] * 33)
    async with log.reader({PART: 0, OTHER: 0}) as opened:
        first = await opened.read(max_records=2_000, wait_s=LONG_S)
        second = await opened.read(max_records=2_000, wait_s=LONG_S)
    # Each answer is of one of them, and they take turns.
    assert [len(first), len(second)] == [1, 1]
    assert first.keys() != second.keys()
    assert len(await read_one(log, PART)) == len(await read_one(log, OTHER)) == 33


async def test_long_headers_are_read_and_not_remembered(log: EventLog) -> None:
    before = headers._decode.cache_info().currsize
    long = [("name", b"x" * 10_000)]
    await log.append(RAW.name, [(0, Entry(None, None, long))])
    (record,) = await read_one(log, PART)
    assert list(record.headers) == long
    assert headers._decode.cache_info().currsize == before


async def test_who_has_read_all_looks_when_the_bell_rings_and_not_before(
    log: EventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[reader.Found] = []
    look = reader._look

    def counted(*asked: Any) -> reader.Found:
        looks.append(look(*asked))
        return looks[-1]

    monkeypatch.setattr(reader, "_look", counted)
    monkeypatch.setattr(reader, "_LOOK_S", 2 * LONG_S)
    await append(log, PART, "a", "b")
    async with log.reader({PART: 0}) as opened, asyncio.TaskGroup() as tasks:
        assert texts(await next_records(opened, PART)) == ["a", "b"]
        read = tasks.create_task(next_records(opened, PART), name="read")
        await log.ends([PART])
        assert len(looks) == 1
        await append(log, PART, "c")
        assert texts(await read) == ["c"]
        assert await opened.read(max_records=1, wait_s=0) == {}
    assert len(looks) == 3


async def test_who_was_cut_off_in_a_look_looks_again(log: EventLog) -> None:
    await append(log, PART, "a")
    async with log.reader({PART: 0}) as opened:
        assert texts(await next_records(opened, PART)) == ["a"]
        await append(log, PART, "b")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await opened.read(max_records=1, wait_s=LONG_S)
        assert texts(await next_records(opened, PART)) == ["b"]
