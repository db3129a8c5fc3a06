"""One shard followed: each commit as it comes, snapshots, and the first difference."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from audit.config import WatchConfig
from audit.core.difference import DifferenceFound
from audit.errors import HistoryGone
from audit.snapshots import snapshots
from audit.verify import VerifyConfig, verify_shard
from audit.watching import Watching
from eventlog.port import EventLog, LogUnavailable, Partition
from runtime import metrics
from runtime.supervisor import leaves
from schemas.topics import CHANGES, JOURNAL, SNAPSHOTS
from tests.support.audited import SHARD, Writing, a_history, observations
from tests.support.awaiting import eventually
from tests.support.clock import ManualClock
from tests.support.list_log import ListLog
from tests.support.troubled import Troubled

COMMITS = len(a_history().of(JOURNAL, SHARD))


def verified() -> float:
    value = metrics.AUDIT_COMMITS.labels(SHARD)._value.get()
    return float(value)


def begun(caplog: pytest.LogCaptureFixture) -> list[int]:
    """Return the commits from which shards were followed."""
    said = [r.__dict__ for r in caplog.records if r.message == "audit begins"]
    return [one["commit"] for one in said]


@asynccontextmanager
async def watching(
    log: EventLog, clock: ManualClock | None = None, **config: Any
) -> AsyncIterator[Watching]:
    """Follow a shard for a while; what stops it before fails the test."""
    wanted = WatchConfig("one", settle_s=0, wait_s=0, backoff_s=0, **config)
    watch = Watching(log, SHARD, config=wanted, clock=clock or ManualClock())
    async with asyncio.TaskGroup() as group:
        running = group.create_task(watch.run())
        yield watch
        running.cancel()


async def follows(log: EventLog, *, commits: int, **config: Any) -> None:
    """Follow until so many commits more are verified."""
    before = verified()
    async with watching(log, **config):
        await eventually(lambda: verified() - before >= commits)


@pytest.fixture(autouse=True)
def said(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


async def test_it_verifies_what_is_there_and_what_comes() -> None:
    log = ListLog(SHARD + 1)
    writing = Writing(log)
    before = verified()
    seen = list(observations())
    async with watching(log.as_log()):
        for start in range(0, len(seen), 10):
            writing.observe(seen[start : start + 10])
            writing.fold()
            await eventually(lambda: verified() - before == len(log.of(JOURNAL, SHARD)))


async def test_it_goes_on_from_its_last_snapshot(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log = a_history(holes=1)
    await follows(log.as_log(), commits=COMMITS, snapshot_observations=15)
    found = await snapshots(log.as_log(), SHARD)
    assert [one.header.commit for one in found] == [9, 6, 3]
    await follows(log.as_log(), commits=COMMITS - 9)
    assert begun(caplog) == [0, 9]
    config = VerifyConfig(settle_s=0)
    report = await verify_shard(log.as_log(), SHARD, config=config)
    assert (report.difference, report.snapshots) == (None, 3)


async def test_another_interval_of_log_time_has_its_snapshot() -> None:
    log = a_history()
    await follows(log.as_log(), commits=COMMITS, snapshot_interval_ms=30)
    found = await snapshots(log.as_log(), SHARD)
    assert len(found) == 1


async def test_a_damaged_snapshot_is_said_and_the_one_before_taken(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log = a_history()
    await follows(log.as_log(), commits=COMMITS, snapshot_observations=15)
    records = log.of(SNAPSHOTS, SHARD)
    records[-2] = records[-2]._replace(value=b"{}")
    await follows(log.as_log(), commits=COMMITS - 6)
    assert begun(caplog) == [0, 6]
    assert "snapshot damaged" in caplog.messages


async def test_a_difference_ends_it_and_is_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log = a_history()
    records = log.of(CHANGES, SHARD)
    records[7] = records[7]._replace(value=b"{}")
    with pytest.raises(ExceptionGroup) as stopped:
        await follows(log.as_log(), commits=COMMITS)
    (found,) = leaves(stopped.value)
    assert isinstance(found, DifferenceFound)
    assert found.difference.offset == 7
    assert "difference found" in caplog.messages
    gauge = metrics.AUDIT_DIFFERENCE.labels(SHARD)._value.get()
    assert gauge == found.difference.commit


async def test_without_the_beginning_there_must_be_a_snapshot(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log = a_history()
    at = Partition(JOURNAL, SHARD)
    await follows(log.as_log(), commits=COMMITS, snapshot_observations=40)
    log.dropped[at] = log.of(*at)[8].offset
    del log.of(*at)[:8]
    await follows(log.as_log(), commits=COMMITS - 9)
    log.of(SNAPSHOTS, SHARD).clear()
    with pytest.raises(ExceptionGroup) as stopped:
        await follows(log.as_log(), commits=1)
    assert isinstance(next(leaves(stopped.value)), HistoryGone)


async def test_a_log_that_is_away_is_waited_for_and_nothing_verified_twice() -> None:
    away = [LogUnavailable("the test", why="it says so") for _ in range(2)]
    before = verified()
    log = a_history()
    troubled = Troubled(log.as_log(), read=[*away], oldest=[*away])
    async with watching(troubled.as_log(), max_backoff_s=0):
        await eventually(lambda: verified() - before >= COMMITS)
    assert verified() - before == COMMITS


async def test_it_tells_how_far_it_is_behind() -> None:
    log, clock = a_history(), ManualClock()
    await follows(log.as_log(), commits=COMMITS)
    lag = metrics.AUDIT_LAG_COMMITS.labels(SHARD)._value
    age = metrics.AUDIT_LAG_SECONDS.labels(SHARD)._value
    before = verified()
    async with watching(log.as_log(), clock) as watch:
        await eventually(lambda: verified() - before >= COMMITS)
        await watch._look()
        assert (lag.get(), age.get()) == (0, 0)
        # As if the journal had grown meanwhile.
        position = log.of(JOURNAL, SHARD)
        later = (position[-1].value or b"").replace(
            b'"commit":%d' % COMMITS, b'"commit":%d' % (COMMITS + 3)
        )
        log.of(JOURNAL, SHARD)[-1] = position[-1]._replace(value=later)
        await watch._look()
        assert lag.get() == 3
        assert age.get() > 1_000_000
