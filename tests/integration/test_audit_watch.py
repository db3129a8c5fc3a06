"""Those who follow a log share its shards, and the first difference ends them."""

from pathlib import Path

import pytest

from audit.config import WatchConfig
from audit.core.difference import Check, DifferenceFound
from audit.watch import run
from eventlog.port import EventLog, LogUnavailable, Partition
from runtime import metrics
from runtime.clock import SystemClock
from runtime.health import Health
from runtime.supervisor import leaves
from schemas.topics import CHANGES, JOURNAL
from tests.support.audited import observations
from tests.support.awaiting import eventually
from tests.support.folded import a_folded_file, fold, tamper
from tests.support.logs import Place, open_at, read_one
from tests.support.pipeline import SHARDS
from tests.support.tasks import beside
from tests.support.troubled import Troubled

CLOCK = SystemClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return a_folded_file(tmp_path / "log.sqlite")


def config_of(instance: str) -> WatchConfig:
    return WatchConfig(
        instance, settle_s=0.1, wait_s=0.05, look_s=0.05, backoff_s=0, max_backoff_s=0
    )


def verified() -> float:
    """Return how many commits were found right in this process."""
    return sum(float(metrics.AUDIT_COMMITS.labels(n)._value.get()) for n in SHARDS)


async def commits_in(log: EventLog) -> int:
    journals = [await read_one(log, Partition(JOURNAL, shard)) for shard in SHARDS]
    return sum(map(len, journals))


async def test_every_shard_is_followed_by_one_of_two(path: Path) -> None:
    async with open_at(Place("sqlite", str(path))) as log:
        before, count = verified(), await commits_in(log)
        health = Health()
        async with (
            beside(run(log, config_of("a"), CLOCK, health=health)),
            beside(run(log, config_of("b"), CLOCK)),
        ):
            await eventually(lambda: verified() - before >= count)
            await eventually(lambda: health.reasons() == {})


async def test_what_is_written_meanwhile_is_verified_too(path: Path) -> None:
    more = [(topic, key, value) for topic, key, value in observations() if value][:9]
    async with open_at(Place("sqlite", str(path))) as log:
        before, count = verified(), await commits_in(log)
        async with beside(run(log, config_of("a"), CLOCK)):
            await eventually(lambda: verified() - before >= count)
            await fold(log, more, inputs=2)
            count = await commits_in(log)
            await eventually(lambda: verified() - before >= count)


async def test_another_takes_over_when_one_goes(path: Path) -> None:
    more = [(topic, key, value) for topic, key, value in observations() if value][:9]
    async with open_at(Place("sqlite", str(path))) as log:
        before, count = verified(), await commits_in(log)
        first, second = Health(), Health()
        async with beside(run(log, config_of("b"), CLOCK, health=second)):
            async with beside(run(log, config_of("a"), CLOCK, health=first)):
                await eventually(lambda: verified() - before >= count)
                await eventually(lambda: first.reasons() == second.reasons() == {})
            await fold(log, more, inputs=2)
            count = await commits_in(log)
            await eventually(lambda: verified() - before >= count)


async def test_a_log_that_is_away_is_waited_for(path: Path) -> None:
    away = [LogUnavailable("the test", why="it says so") for _ in range(2)]
    async with open_at(Place("sqlite", str(path))) as log:
        before, count = verified(), await commits_in(log)
        troubled = Troubled(log, member=[*away], read=[*away])
        async with beside(run(troubled.as_log(), config_of("a"), CLOCK)):
            await eventually(lambda: verified() - before >= count)


async def test_a_difference_in_one_shard_ends_all(path: Path) -> None:
    shard, offset = tamper(path, CHANGES, b'"version":2', b'"version":3')
    async with open_at(Place("sqlite", str(path))) as log:
        with pytest.raises(ExceptionGroup) as stopped:
            await run(log, config_of("a"), CLOCK)
    (found,) = leaves(stopped.value)
    assert isinstance(found, DifferenceFound)
    assert found.difference.check is Check.CHANGES
    assert (found.difference.shard, found.difference.offset) == (shard, offset)
