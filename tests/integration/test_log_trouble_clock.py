"""Clocks that jump by an hour: that of the log, and that of the processor."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from eventlog.port import Entry, EventLog, Partition, Record
from eventlog.sqlite import open_sqlite
from processor.config import ProcessorConfig
from processor.core.batch import Limits
from processor.shard import Shard
from schemas.base import encode
from schemas.latest import price_key, watermark_key
from schemas.topics import CHANGES, JOURNAL, LATEST, PRICES_RAW, RAW, REJECTS, STATE
from tests.support.clock import ManualClock
from tests.support.folding import ALPHA, price
from tests.support.logs import LONG_S, read_all, read_one
from tests.support.oracle.derive import DEFAULTS, RawRecord, derive_shard
from tests.support.oracle.journal import verify_journal
from tests.support.pipeline import TOPICS
from tests.support.sqlite_logs import HandClock, config_of

SHARD, HOUR_MS, MINUTE_MS = 0, 3_600_000, 60_000
IDLE_S = ProcessorConfig("one").idle_watermark_s
START_MS = 1_700_000_000_000
ALPHA_KEY = price_key(ALPHA)


@pytest.fixture
def clock() -> HandClock:
    return HandClock(ms=START_MS)


@asynccontextmanager
async def a_log(folder: Path, clock: HandClock) -> AsyncIterator[EventLog]:
    async with open_sqlite(config_of(folder / "log", clock)) as log:
        await log.create(TOPICS)
        yield log


@asynccontextmanager
async def serving(log: EventLog, clock: ManualClock) -> AsyncIterator[None]:
    # A commit for each record, so that there are many to compare.
    config = ProcessorConfig(
        "one", limits=Limits(inputs=1), new_term_id=lambda: "0" * 12
    )
    async with asyncio.TaskGroup() as group:
        running = group.create_task(Shard(log, SHARD, config=config, clock=clock).run())
        yield
        running.cancel()


async def say(log: EventLog, usd: str, *, at_ms: int, source: str = "a") -> None:
    value = encode(price(usd, source, at=at_ms))
    await log.append(PRICES_RAW, [(SHARD, Entry(ALPHA.encode(), value))])


async def written(log: EventLog, topic: str, count: int) -> list[Record]:
    """Wait until the shard has written so many records to a topic; return them."""
    found: list[Record] = []
    at = Partition(topic, SHARD)
    async with asyncio.timeout(LONG_S), log.reader({at: 0}) as reader:
        while len(found) < count:
            found += (await reader.read(max_records=100, wait_s=1)).get(at, ())
    assert len(found) == count
    return found


def marks_in(latest: Sequence[Record]) -> list[int]:
    return [
        json.loads(record.value or b"")["logTime"]
        for record in latest
        if record.key == watermark_key(SHARD)
    ]


async def test_log_time_stands_while_the_clock_of_the_log_is_back(
    clock: HandClock, tmp_path: Path
) -> None:
    async with a_log(tmp_path, clock) as log:
        processors = ManualClock(START_MS)
        async with serving(log, processors):
            await said_under_a_jumping_clock(log, clock, processors)
            commits = await written(log, JOURNAL, 5)
        times = [json.loads(record.value or b"")["logTime"] for record in commits]
        ahead_ms = START_MS + HOUR_MS
        assert times == [START_MS, ahead_ms, ahead_ms, ahead_ms, ahead_ms + MINUTE_MS]
        marks = marks_in(await read_one(log, Partition(LATEST, SHARD)))
        assert marks == sorted(marks)
        assert marks[-1] >= ahead_ms
        # Whether an observation is from the future is asked of its own append time.
        (refused,) = await read_one(log, Partition(REJECTS, SHARD))
        said = json.loads(refused.value or b"")
        assert (said["reason"], said["origin"][2]) == ("future", 2)
        await as_a_second_fold_has_it(log)


async def said_under_a_jumping_clock(
    log: EventLog, clock: HandClock, processors: ManualClock
) -> None:
    """Say five prices, the log's clock jumping forth and back between them."""
    half_ms = START_MS + HOUR_MS // 2
    await say(log, "1", at_ms=START_MS)
    await written(log, JOURNAL, 1)
    clock.ms = START_MS + HOUR_MS
    await say(log, "2", at_ms=half_ms)
    await written(log, JOURNAL, 2)
    clock.ms = START_MS
    await say(log, "3", at_ms=half_ms + 1)
    await say(log, "4", at_ms=START_MS, source="b")
    await written(log, JOURNAL, 4)
    await processors.advance(6)
    clock.ms = START_MS + HOUR_MS + MINUTE_MS
    await say(log, "5", at_ms=half_ms + 2)


async def as_a_second_fold_has_it(log: EventLog) -> None:
    inputs = [Partition(topic, SHARD) for topic in RAW]
    raw = {
        (at.topic, at.number): [RawRecord(r[0], r[1], r[2], r[3]) for r in records]
        for at, records in (await read_all(log, inputs)).items()
    }
    told = derive_shard(raw, SHARD, DEFAULTS)
    changes, rejects = [await pairs(log, topic) for topic in (CHANGES, REJECTS)]
    journal = [value for _, value in await pairs(log, JOURNAL)]
    found = verify_journal(
        journal, raw, changes, rejects, partition=SHARD, settings=DEFAULTS
    )
    assert found == told.decisions
    assert told.per_key() == {ALPHA_KEY: [value for _, value in changes]}


async def pairs(log: EventLog, topic: str) -> list[tuple[bytes | None, bytes]]:
    records = await read_one(log, Partition(topic, SHARD))
    return [(record.key, record.value or b"") for record in records]


OFF_MS = [-HOUR_MS, 0, HOUR_MS]


async def test_what_the_processors_clock_says_is_in_nothing_it_writes(
    tmp_path: Path,
) -> None:
    seen = []
    for number, off_ms in enumerate(OFF_MS):
        folder = tmp_path / f"{number}"
        folder.mkdir()
        clock = HandClock(ms=START_MS)
        async with a_log(folder, clock) as log:
            seen.append(await all_it_writes(log, ManualClock(START_MS + off_ms)))
    assert seen[0] == seen[1] == seen[2]


async def all_it_writes(
    log: EventLog, processors: ManualClock
) -> dict[str, list[Entry]]:
    """Fold a few prices, be idle for a while; return all records but the barrier's."""
    for n in range(5):
        await say(log, f"{n + 1}", at_ms=START_MS + n * MINUTE_MS // 2)
    async with serving(log, processors):
        await written(log, JOURNAL, 5)
        # Until an idle watermark is written, with a jump before it.
        processors.step_wall_clock(HOUR_MS)
        await processors.until_asleep(2)
        # No further than it is due: it tells the moment at which it is written.
        await processors.advance(IDLE_S)
        # Beside the prices the terms, two watermarks, and twice what was observed.
        await written(log, LATEST, 3 + 1 + 2 + 2)
    return {
        topic: [
            Entry(record.key, record.value)
            for record in await read_one(log, Partition(topic, SHARD))
            if record.key != b"barrier"
        ]
        for topic in (LATEST, CHANGES, JOURNAL, REJECTS, STATE)
    }
