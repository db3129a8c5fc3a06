"""The public table as it stood: cut at a commit of each shard."""

from collections.abc import Callable

from audit.core.cuts import Cut, cut_of
from audit.core.table import Table, replay
from audit.errors import HistoryGone, WrongMoment
from audit.journal import last_commit
from audit.snapshots import nearest, oldest_usable
from audit.streams import open_stream
from eventlog.port import EventLog, Partition
from schemas.log import LogIdentity
from schemas.snapshots import declared_in
from schemas.topics import CHANGES

_AT_ONCE = 5_000
# Told the number of changes read since the last time.
Progress = Callable[[int], None]


async def cut_at(log: EventLog, identity: LogIdentity, moment: Cut | int) -> Cut:
    """Return the cut that a moment names.

    A time belongs to the last commit of each shard whose log time is not later. Raises
    ``WrongMoment``.
    """
    if isinstance(moment, Cut):
        return await _checked(log, identity, moment)
    commits = [
        await _commit_at(log, shard, moment) for shard in range(identity.partitions)
    ]
    return cut_of(identity.id, tuple(commits))


async def _commit_at(log: EventLog, shard: int, time_ms: int) -> int:
    found = await last_commit(log, shard, lambda said: said.log_time <= time_ms)
    return found.said.commit if found else 0


async def _checked(log: EventLog, identity: LogIdentity, cut: Cut) -> Cut:
    own = cut_of(identity.id, cut.commits)
    if own != cut or len(cut.commits) != identity.partitions:
        raise WrongMoment(
            f"{cut} is a cut of another log: this one is {own.log_id} and has "
            f"{identity.partitions} shards"
        )
    for shard, commit in enumerate(cut.commits):
        newest = await last_commit(log, shard)
        if commit > (newest.said.commit if newest else 0):
            raise WrongMoment(f"shard {shard} has no commit {commit} yet")
    return cut


async def table_at(
    log: EventLog, shard: int, commit: int, *, progress: Progress = lambda _: None
) -> Table:
    """Return the table of a shard after a commit, from the nearest snapshot before it.

    Raises ``HistoryGone`` when neither a snapshot nor the whole history is there; it names
    the commit from which on there is one.
    """
    at = Partition(CHANGES, shard)
    table, start = await _nearest_table(log, at, commit)
    async with open_stream(log, at, start=start, settle_s=0.0) as stream:
        while changes := await stream.take(_AT_ONCE):
            progress(len(changes))
            if replay(table, changes, last=commit):
                break
    return table


async def _nearest_table(
    log: EventLog, at: Partition, commit: int
) -> tuple[Table, int]:
    oldest = (await log.oldest([at]))[at]
    found = await nearest(log, at.number, at_most=commit, oldest={CHANGES: oldest})
    if found is not None:
        snapshot, standing = found
        return standing.table, snapshot.header.places[CHANGES]
    if oldest > 0:
        raise await _gone(log, at, oldest)
    return {}, 0


async def _gone(log: EventLog, at: Partition, oldest: int) -> HistoryGone:
    first = await oldest_usable(log, at.number, {CHANGES: oldest})
    if first is None:
        return HistoryGone(at.topic, at.number, oldest=oldest)
    header = first.header
    return HistoryGone(
        at.topic,
        at.number,
        oldest=oldest,
        begins=header.commit,
        declared=declared_in(header) > 0,
    )
