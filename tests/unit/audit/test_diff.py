"""The same history folded otherwise is what a processor with other settings writes."""

from collections import Counter

import orjson
import pytest

from audit.core.differing import How
from audit.diff import DiffConfig, diff_shard
from audit.errors import HistoryGone
from eventlog.port import Partition, Record
from processor.core.generations import UnknownGeneration
from schemas.journal import FoldSettings
from schemas.topics import CHANGES, JOURNAL, SNAPSHOTS
from tests.support.audited import (
    MORE_GENERATIONS,
    SHARD,
    Writing,
    a_history,
    fold_rounding_down,
    observations,
)
from tests.support.list_log import ListLog
from tests.unit.audit.test_as_of import written


def written_with(settings: FoldSettings, **how: object) -> ListLog:
    log = ListLog(SHARD + 1)
    writing = Writing(log)
    writing.observe(list(observations()))
    writing.fold(settings=settings, **how)  # type: ignore[arg-type] # of ``fold``
    return log


async def test_with_the_settings_it_had_nothing_is_otherwise() -> None:
    log = a_history(holes=1)
    found = await diff_shard(log.as_log(), SHARD, config=DiffConfig())
    assert not found.is_different
    assert sum(found.counts.values()) == len(log.of(CHANGES, SHARD))


@pytest.mark.parametrize("deviation", ["0.05", "0.5", "1"])
async def test_it_finds_what_a_processor_would_have_written(deviation: str) -> None:
    ours = written_with(FoldSettings())
    theirs = written_with(FoldSettings(price_deviation=deviation))
    config = DiffConfig(changed={"price_deviation": deviation})
    told: list[int] = []
    found = await diff_shard(ours.as_log(), SHARD, config=config, progress=told.append)
    assert sum(told) == len(list(observations()))
    both = contents(ours) & contents(theirs)
    assert found.counts["price", How.MISSING] == (contents(ours) - both).total()
    assert found.counts["price", How.ADDED] == (contents(theirs) - both).total()
    assert found.is_different


def contents(log: ListLog) -> Counter[bytes]:
    """Return the prices published, without the versions."""
    return Counter(
        content(record)
        for record in log.of(CHANGES, SHARD)
        if (record.key or b"").startswith(b"price:")
    )


def content(record: Record) -> bytes:
    said = orjson.loads(record.value or b"{}")
    said.pop("version")
    return orjson.dumps(said)


async def test_another_generation_is_compared_with_the_one_that_wrote() -> None:
    log = written_with(FoldSettings())
    config = DiffConfig(generation=3, generations=MORE_GENERATIONS)
    found = await diff_shard(log.as_log(), SHARD, config=config)
    assert found.counts["price", How.DIFFERENT] > 0
    back = DiffConfig(generation=2, generations=MORE_GENERATIONS)
    second = written_with(FoldSettings(), fold=fold_rounding_down)
    other = await diff_shard(second.as_log(), SHARD, config=back)
    assert other.counts == {
        (kind, {How.ADDED: How.MISSING, How.MISSING: How.ADDED}.get(how, how)): count
        for (kind, how), count in found.counts.items()
    }
    with pytest.raises(UnknownGeneration):
        await diff_shard(log.as_log(), SHARD, config=DiffConfig(generation=4))


@pytest.mark.parametrize("snapshots", [(), (3, 8)], ids=["from the start", "snapshots"])
async def test_up_to_its_beginning_all_is_as_it_was(
    snapshots: tuple[int, ...],
) -> None:
    log = written_with(FoldSettings())
    await written(log, *snapshots)
    config = DiffConfig(first=5, last=7, changed={"price_deviation": "1"})
    found = await diff_shard(log.as_log(), SHARD, config=config)
    commits = [example.commit for each in found.examples.values() for example in each]
    assert {5, 6, 7} >= set(commits)
    assert commits
    changes = [int(dict(r.headers)["commit"]) for r in log.of(CHANGES, SHARD)]
    written_then = sum(5 <= commit <= 7 for commit in changes)
    paired = {How.SAME, How.MISSING, How.DIFFERENT}
    assert written_then == sum(
        n for (_, how), n in found.counts.items() if how in paired
    )


async def test_a_damaged_snapshot_is_passed_over() -> None:
    log = written_with(FoldSettings())
    await written(log, 3)
    records = log.of(SNAPSHOTS, SHARD)
    records[0] = records[0]._replace(value=b"{}")
    found = await diff_shard(log.as_log(), SHARD, config=DiffConfig(first=5))
    assert not found.is_different


async def test_what_retention_took_is_not_made_up() -> None:
    log = a_history()
    log.dropped[Partition(JOURNAL, SHARD)] = 2
    with pytest.raises(HistoryGone):
        await diff_shard(log.as_log(), SHARD, config=DiffConfig())
