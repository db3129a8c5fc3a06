"""One shard of the processor: its barrier, its watermarks, what it reads ahead."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from eventlog.port import Batches, Entry, EventLog, Fenced, Partition, Reader, Record
from processor import restore
from processor.config import ProcessorConfig
from processor.inbox import Inbox
from processor.restore import Restored
from processor.shard import Shard
from schemas.base import encode
from schemas.latest import decode_latest, observed_key, watermark_key
from schemas.log import Watermark
from schemas.states import BARRIER_KEY
from schemas.topics import JOURNAL, LATEST, PRICES_RAW, REJECTS, STATE
from tests.support.clock import ManualClock, settle
from tests.support.folding import ALPHA, price
from tests.support.logs import LONG_S, Place, open_at, read_one
from tests.support.pipeline import TOPICS

SHARD = 1
NOW_MS = 2_000_000_000_000


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[EventLog]:
    async with open_at(Place("sqlite", str(tmp_path / "log.sqlite"))) as opened:
        await opened.create(TOPICS)
        yield opened


async def say(log: EventLog, *usd: str) -> None:
    """Append prices, each later than all before."""
    (end,) = (await log.ends([Partition(PRICES_RAW, SHARD)])).values()
    entries = [
        (SHARD, Entry(ALPHA.encode(), encode(price(word, at=at))))
        for at, word in enumerate(usd, end)
    ]
    await log.append(PRICES_RAW, entries)


@asynccontextmanager
async def serving(log: EventLog, clock: ManualClock) -> AsyncIterator[None]:
    shard = Shard(log, SHARD, config=ProcessorConfig("one"), clock=clock)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(shard.run())
        yield
        running.cancel()


class Marks:
    """The watermarks of the shard, as they come."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._waiting: list[int] = []

    async def next(self) -> int:
        """Wait for the next watermark; return its time."""
        while not self._waiting:
            batches = await self._reader.read(max_records=100, wait_s=1)
            for record in (r for records in batches.values() for r in records):
                if record.key == watermark_key(SHARD):
                    mark = decode_latest(record.key, record.value or b"")
                    assert isinstance(mark, Watermark)
                    self._waiting.append(mark.log_time)
        return self._waiting.pop(0)


@asynccontextmanager
async def following_marks(log: EventLog) -> AsyncIterator[Marks]:
    async with log.reader({Partition(LATEST, SHARD): 0}) as reader:
        yield Marks(reader)


async def test_a_watermark_rides_on_a_commit_then_rests_for_a_second(
    log: EventLog,
) -> None:
    await say(log, "1")
    (first,) = await read_one(log, Partition(PRICES_RAW, SHARD))
    clock = ManualClock(NOW_MS)
    async with following_marks(log) as marks, serving(log, clock):
        assert await marks.next() == first.time_ms
        await say(log, "2")
        # The terms, two prices, and with the first a watermark and what it observed.
        await until_written(log, LATEST, 5)
        await clock.advance(0.9)
        await say(log, "3")
        await until_written(log, LATEST, 6)
        await clock.advance(0.1)
        await say(log, "4")
        *_, mark, observed = await until_written(log, LATEST, 9)
        assert (mark.key, observed.key) == (watermark_key(SHARD), observed_key(SHARD))


async def until_written(log: EventLog, topic: str, count: int) -> list[Record]:
    """Wait until the shard's partition of a topic has so many records; return them."""
    async with log.reader({Partition(topic, SHARD): 0}) as reader:
        found: list[Record] = []
        while len(found) < count:
            batches = await reader.read(max_records=100, wait_s=1)
            found.extend(r for records in batches.values() for r in records)
        assert len(found) == count
        return found


async def test_an_idle_shard_tells_every_five_seconds_that_it_is_at_the_end(
    log: EventLog,
) -> None:
    clock = ManualClock(NOW_MS)
    async with following_marks(log) as marks, serving(log, clock):
        # By the clock of the log, which took the barrier a moment ago.
        barrier, *_ = await until_written(log, STATE, 3)
        await clock.until_asleep(2)
        await clock.advance(1)
        assert await marks.next() == barrier.time_ms + 1_000
        for _ in range(5):
            await clock.until_asleep(2)
            await clock.advance(1)
        assert await marks.next() == barrier.time_ms + 6_000


async def test_a_watermark_does_not_follow_the_wall_clock(log: EventLog) -> None:
    clock = ManualClock(NOW_MS)
    async with following_marks(log) as marks, serving(log, clock):
        await clock.until_asleep(2)
        await clock.advance(1)
        first = await marks.next()
        clock.step_wall_clock(-60_000)
        await clock.until_asleep(2)
        await clock.advance(5)
        assert await marks.next() == first + 5_000


class WithoutBarriers:
    """A log in which a newer barrier has replaced ours, and is not there yet either."""

    def __init__(self, log: EventLog) -> None:
        self._log = log

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    @asynccontextmanager
    async def reader(self, positions: Mapping[Partition, int]) -> AsyncIterator[Reader]:
        async with self._log.reader(positions) as reader:
            yield cast("Reader", _WithoutBarriers(reader))


class _WithoutBarriers:
    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def position(self, partition: Partition) -> int:
        return self._reader.position(partition)

    async def read(self, *, max_records: int, wait_s: float) -> Batches:
        batches = await self._reader.read(max_records=max_records, wait_s=wait_s)
        return {
            at: [record for record in records if record.key != BARRIER_KEY]
            for at, records in batches.items()
        }


async def test_an_owner_whose_barrier_was_replaced_is_fenced(log: EventLog) -> None:
    without = cast("EventLog", WithoutBarriers(log))
    async with log.own(SHARD) as writer:
        with pytest.raises(Fenced):
            await Restored(SHARD, progress=print).catch_up(without, writer, "one")


async def test_a_long_restore_tells_how_far_it_is(
    log: EventLog, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(restore, "_BATCH", 2)
    monkeypatch.setattr(restore, "_REPORT_EVERY", 2)
    caplog.set_level(logging.INFO)
    told: list[tuple[int, int]] = []
    async with log.own(SHARD) as writer:
        records = [Entry(b"price:A%d" % n, b"{}") for n in range(5)]
        await writer.commit({STATE: records})
        restored = Restored(SHARD, progress=lambda *far: told.append(far))
        assert await restored.catch_up(log, writer, "one") == 5
        # On a broker markers of transactions take offsets too.
        (first, some), (second, more) = told
        assert (first, second) == (2, 4)
        assert 0 < some < more < 100
        assert [r.__dict__["percent"] for r in caplog.records] == [some, more]
        # Again, as after trouble: only what came since.
        assert await restored.catch_up(log, writer, "one") == 0
    assert len(restored.state) == 5


async def test_large_refused_records_are_committed_a_few_at_a_time(
    log: EventLog,
) -> None:
    count = 20
    large = Entry(b"key", b'{"schema":"' + b"x" * 1_000_000 + b'"}')
    for _ in range(count):
        await log.append(PRICES_RAW, [(SHARD, large)])
    async with serving(log, ManualClock(NOW_MS)):
        assert len(await until_written(log, REJECTS, count)) == count
    read = [
        json.loads(record.value or b"")["inputs"][PRICES_RAW]["count"]
        for record in await read_one(log, Partition(JOURNAL, SHARD))
    ]
    # A commit that reads many megabytes would keep membership and health waiting.
    assert sum(read) == count
    assert max(read) <= 5


async def test_an_inbox_reads_no_further_ahead_than_its_limit_in_bytes(
    log: EventLog,
) -> None:
    at = Partition(PRICES_RAW, SHARD)
    read: list[list[int]] = []
    async with log.reader({at: 0}) as reader, asyncio.TaskGroup() as group:
        bounded = _BoundedReads(reader, 2)
        inbox = Inbox(bounded, limit=100, limit_bytes=1)
        await say(log, "1", "2", "3", "4", "5")
        filling = group.create_task(inbox.fill())
        for _ in range(3):
            async with asyncio.timeout(LONG_S):
                await bounded.done.wait()
            # One answer is enough: the next is asked for when that one is taken.
            await settle()
            assert bounded.reads == len(read) + 1
            bounded.done.clear()
            ((_, part),) = await inbox.take()
            read.append([record.offset for record in part])
        filling.cancel()
    assert read == [[0, 1], [2, 3], [4]]


class _BoundedReads:
    """A reader whose answers have at most so many records; counts those that have any."""

    def __init__(self, reader: Reader, at_most: int) -> None:
        self._reader, self._at_most = reader, at_most
        self.reads, self.done = 0, asyncio.Event()

    async def read(self, *, max_records: int, wait_s: float) -> Batches:
        batches = await self._reader.read(
            max_records=min(max_records, self._at_most), wait_s=wait_s
        )
        if batches:
            self.reads += 1
            self.done.set()
        return batches

    def position(self, partition: Partition) -> int:
        return self._reader.position(partition)

    def seek(self, partition: Partition, position: int) -> None:
        self._reader.seek(partition, position)


async def test_an_inbox_reads_no_further_ahead_than_its_limit(log: EventLog) -> None:
    await say(log, *"123456789")
    partition = Partition(PRICES_RAW, SHARD)
    async with log.reader({partition: 0}) as reader, asyncio.TaskGroup() as group:
        inbox = Inbox(reader, limit=4)
        filling = group.create_task(inbox.fill())
        ((topic, first),) = await inbox.take()
        assert (topic, [record.offset for record in first]) == (
            PRICES_RAW,
            [0, 1, 2, 3],
        )
        ((_, second),) = await inbox.take()
        await settle()
        assert len(second) == 4
        inbox.poke()
        rest = await inbox.take()
        while not rest:
            rest = await inbox.take()
        assert [record.offset for record in rest[0][1]] == [8]
        filling.cancel()
