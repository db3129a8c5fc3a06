"""The real history through the whole pipeline, against a second implementation."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from audit.core.difference import Difference
from audit.verify import VerifyConfig, verify_shard
from eventlog.port import EventLog
from tests.support import history
from tests.support.backfilling import backfill, config_of
from tests.support.history_noise import noise
from tests.support.logs import PARTITIONS, Place, open_at
from tests.support.pipeline import (
    SHARDS,
    TOPICS,
    Told,
    append,
    check,
    follow_progress,
    told,
)
from tests.support.places import KINDS, fresh_place
from tests.support.processor_process import serve

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return fresh_place(request, tmp_path)


async def test_every_value_of_the_history_is_the_one_the_text_asks_for(
    place: Place, tmp_path: Path
) -> None:
    """On every log the same bytes: both are held to the same second derivation."""
    expected = told()
    async with open_at(place) as log:
        await log.create(TOPICS)
        await fill(log, tmp_path)
        await folded(log, expected)
        decisions = await check(log, expected)
        assert await differences(log) == []
    assert decisions == sum((d.decisions for d in expected.derived.values()), Counter())


async def differences(log: EventLog) -> list[Difference]:
    """Let the audit derive it all a third time; return what it finds."""
    reports = [await verify_shard(log, s, config=VerifyConfig()) for s in SHARDS]
    assert sum(report.observations for report in reports) == len(told().entries)
    return [report.difference for report in reports if report.difference is not None]


async def fill(log: EventLog, folder: Path) -> None:
    """Bring the history into the log as an operator would, and the noise after it."""
    seen = list(history.observations())
    files = history.write(folder)
    report = await backfill(log, files, config_of(PARTITIONS))
    assert (report.written, report.bad, report.refused) == (len(seen), 0, 0)
    await append(log, list(noise(seen)))


async def folded(log: EventLog, expected: Told) -> None:
    """Run the processor until it has read all of it."""
    ends = {
        at: records[-1].offset + 1 for at, records in expected.raw.items() if records
    }
    async with follow_progress(log) as progress, asyncio.TaskGroup() as group:
        service = group.create_task(serve(log, "straight"), name="processor")
        await progress.reached(ends)
        service.cancel()
