"""The table at any moment is what its changes make of it up to there."""

from collections.abc import Mapping
from random import Random

import pytest

from audit.as_of import cut_at, table_at
from audit.commits import open_commits
from audit.core.commits import read_commit
from audit.core.cuts import Cut
from audit.core.table import new_standing
from audit.core.verify import Verifier
from audit.errors import HistoryGone, WrongMoment
from audit.snapshots import nearest, snapshots, write_snapshot
from eventlog.port import Partition
from processor.core.generations import GENERATIONS
from schemas.ids import Network
from schemas.log import LogIdentity, World
from schemas.topics import CHANGES, JOURNAL, SNAPSHOTS
from tests.support.audited import SHARD, a_history
from tests.support.list_log import ListLog

IDENTITY = LogIdentity(
    id="0123456789abcdef" * 2,
    network=Network.MAINNET,
    world=World.SIMULATED,
    partitions=2,
    created_at=1,
)


def naively(log: ListLog, commit: int) -> dict[bytes | None, bytes]:
    """Return the table by the meaning of the words, change after change."""
    table: dict[bytes | None, bytes | None] = {}
    for change in log.of(CHANGES, SHARD):
        if int(dict(change.headers)["commit"]) <= commit:
            table[change.key] = change.value
    return {key: value for key, value in table.items() if value is not None}


async def at(log: ListLog, commit: int) -> Mapping[bytes | None, bytes]:
    table = await table_at(log.as_log(), SHARD, commit)
    return {key: row.value for key, row in table.items()}


async def written(log: ListLog, *commits: int) -> None:
    """Write a snapshot after each of these commits, as who follows the log does."""
    standing = new_standing(SHARD)
    verifier = Verifier(standing, GENERATIONS)
    async with open_commits(log.as_log(), SHARD, settle_s=0) as reading:
        while read := await reading.next():
            verifier.check(read)
            if verifier.commit in commits:
                name = f"{verifier.commit:032x}"
                await write_snapshot(
                    log.as_log(),
                    standing,
                    reading.places,
                    generation=1,
                    snapshot_id=name,
                )


@pytest.fixture(params=["no snapshot", "snapshots"])
async def log(request: pytest.FixtureRequest) -> ListLog:
    log = a_history(holes=1)
    if request.param == "snapshots":
        await written(log, 3, 7)
    return log


async def test_the_table_after_each_commit_is_that_of_a_naive_replay(
    log: ListLog,
) -> None:
    for commit in range(len(log.of(JOURNAL, SHARD)) + 1):
        assert await at(log, commit) == naively(log, commit)


async def test_a_time_belongs_to_the_last_commit_that_is_not_later(
    log: ListLog,
) -> None:
    commits = [read_commit(r, shard=SHARD) for r in log.of(JOURNAL, SHARD)]
    first, last = commits[0].log_time, commits[-1].log_time
    for time_ms in Random(1).choices(range(first - 2, last + 3), k=50):
        cut = await cut_at(log.as_log(), IDENTITY, time_ms)
        expected = [said.commit for said in commits if said.log_time <= time_ms]
        assert cut == Cut("01234567", (0, max(expected, default=0)))
        assert await cut_at(log.as_log(), IDENTITY, cut) == cut


@pytest.mark.parametrize(
    ("cut", "why"),
    [
        (Cut("89abcdef", (0, 1)), "another log"),
        (Cut("01234567", (0,)), r"another log: .* has 2 shards"),
        (Cut("01234567", (0, 11)), "shard 1 has no commit 11 yet"),
        (Cut("01234567", (1, 0)), "shard 0 has no commit 1 yet"),
    ],
)
async def test_a_cut_that_this_log_does_not_have_is_refused(cut: Cut, why: str) -> None:
    with pytest.raises(WrongMoment, match=why):
        await cut_at(a_history().as_log(), IDENTITY, cut)


async def test_progress_is_told_as_changes(log: ListLog) -> None:
    told: list[int] = []
    await table_at(log.as_log(), SHARD, 2, progress=told.append)
    assert sum(told) >= 1


async def test_what_retention_dropped_is_not_made_up() -> None:
    log = a_history()
    log.dropped[Partition(CHANGES, SHARD)] = 4
    del log.of(CHANGES, SHARD)[:4]
    with pytest.raises(HistoryGone, match="no snapshot stands in for it"):
        await table_at(log.as_log(), SHARD, 5)


async def test_a_damaged_snapshot_is_passed_over() -> None:
    log = a_history()
    await written(log, 3, 7)
    records = log.of(SNAPSHOTS, SHARD)
    records[2] = records[2]._replace(value=b"{}")
    found = await nearest(log.as_log(), SHARD, at_most=9, oldest={})
    assert found is not None
    assert found[0].header.commit == 3
    assert await at(log, 9) == naively(log, 9)
    records[0] = records[0]._replace(value=b"{}")
    assert await nearest(log.as_log(), SHARD, at_most=9, oldest={}) is None


async def test_a_snapshot_that_was_not_finished_is_none() -> None:
    """Whoever wrote it died before the header; the next one comes after it."""
    log = a_history()
    await written(log, 3)
    chunk = log.of(SNAPSHOTS, SHARD)[0]
    value = (chunk.value or b"").replace(b'"part":0', b'"part":1')
    half = [(chunk.key, chunk.value, ()), (chunk.key, value, ())]
    log.put(SNAPSHOTS, SHARD, half)
    await written(log, 7)
    log.put(SNAPSHOTS, SHARD, half[:1])
    found = await snapshots(log.as_log(), SHARD)
    assert [one.header.commit for one in found] == [7, 3]
    assert await at(log, 9) == naively(log, 9)


async def test_retention_takes_the_oldest_snapshots() -> None:
    log = a_history()
    await written(log, 3, 7)
    del log.of(SNAPSHOTS, SHARD)[:1]
    log.dropped[Partition(SNAPSHOTS, SHARD)] = 1
    found = await snapshots(log.as_log(), SHARD)
    assert [one.header.commit for one in found] == [7]
