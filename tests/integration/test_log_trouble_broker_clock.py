"""The clock of a real broker jumps by an hour, both ways, while shards are folded."""

import itertools
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from eventlog.kafka import open_kafka
from eventlog.port import EventLog, Partition
from schemas.topics import JOURNAL, PRICES_RAW
from tests.support.broker import started_kafka
from tests.support.broker_choice import has_maven
from tests.support.kafka_feed import impatient
from tests.support.logs import read_one
from tests.support.pipeline import SHARDS, TOPICS, append, check, follow_progress
from tests.support.processing import a_part, processing
from tests.support.shifted_clock import ShiftedClock

pytestmark = [pytest.mark.broker, pytest.mark.slow, pytest.mark.timeout(180)]

_HOUR_S = 3_600
# Ahead, right again (which is an hour back), behind, right again.
_JUMPS_S = (_HOUR_S, 0, -_HOUR_S, 0)


@asynccontextmanager
async def a_log_and_its_clock(
    folder: Path,
) -> AsyncIterator[tuple[EventLog, ShiftedClock]]:
    if not has_maven():
        pytest.skip(
            "needs a broker with a clock of its own: install Java 17+ and Maven"
        )
    clock = ShiftedClock(folder)
    with started_kafka(variables=clock.variables) as kafka:
        await kafka.ready()
        async with open_kafka(impatient(kafka.bootstrap)) as log:
            await log.create(TOPICS)
            yield log, clock


async def test_nothing_is_lost_or_twice_and_log_time_never_steps_back(
    tmp_path: Path,
) -> None:
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    told = a_part()
    size = len(told.entries) // (2 * len(_JUMPS_S) + 1) + 1
    parts = [told.entries[at : at + size] for at in range(0, len(told.entries), size)]
    async with (
        a_log_and_its_clock(tmp_path) as (log, clock),
        follow_progress(log) as progress,
        processing(log),
    ):
        ends = await append(log, parts.pop(0))
        for shift_s in _JUMPS_S:
            # Once while all is at rest, so that each hour has records, and once under way.
            await progress.reached(ends)
            clock.set(shift_s)
            ends = await append(log, parts.pop(0))
            ends |= await append(log, parts.pop(0))
        await progress.reached(ends)
        await check(log, told)
        assert {hours for shard in SHARDS for hours in await steps_h(log, shard)} == {
            -1,
            1,
        }
        for shard in SHARDS:
            times = await log_times(log, shard)
            assert times == sorted(times)


async def steps_h(log: EventLog, shard: int) -> set[int]:
    """Return by how many hours append times stepped, where they did."""
    records = await read_one(log, Partition(PRICES_RAW, shard))
    times = [record.time_ms for record in records]
    pairs = itertools.pairwise(times)
    return {round((b - a) / (_HOUR_S * 1_000)) for a, b in pairs} - {0}


async def log_times(log: EventLog, shard: int) -> list[int]:
    commits = await read_one(log, Partition(JOURNAL, shard))
    return [json.loads(record.value or b"")["logTime"] for record in commits]
