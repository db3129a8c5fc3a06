"""The head of a log, and whether a log contains one that was kept elsewhere."""

from contextlib import aclosing

from audit.core.commits import read_commit
from audit.core.heads import Compared, Head, Link, compare, head_of, other_log
from audit.errors import HistoryGone
from audit.journal import Lookup, open_lookup
from audit.snapshots import newest_first
from eventlog.port import EventLog, Partition, Record
from processor.core.journal import link_of
from schemas.journal import GENESIS
from schemas.log import LogIdentity
from schemas.topics import JOURNAL


async def head_now(log: EventLog, identity: LogIdentity) -> Head:
    """Return the head of a log as it is now.

    Shards are looked at one after the other: commits that come meanwhile may be in it.
    Raises ``HistoryGone`` where retention has dropped a whole journal, and
    ``DifferenceFound`` for a record that cannot be read.
    """
    shards = [await _last(log, shard) for shard in range(identity.partitions)]
    return head_of(identity, shards)


async def _last(log: EventLog, shard: int) -> tuple[int, str]:
    async with open_lookup(log, Partition(JOURNAL, shard)) as lookup:
        record = await lookup.last(lambda _: True)
    if record is not None:
        return read_commit(record, shard=shard).commit, link_of(record.value or b"")
    if lookup.oldest > 0:
        raise HistoryGone(JOURNAL, shard, oldest=lookup.oldest)
    return 0, GENESIS


async def compared(log: EventLog, identity: LogIdentity, head: Head) -> Compared:
    """Compare a log with a head; raises ``DifferenceFound`` as ``head_now`` does."""
    others = other_log(head, identity)
    if others:
        return Compared(head, tuple(others))
    commits = enumerate(head.cut.commits)
    return compare(head, [await _link(log, shard, commit) for shard, commit in commits])


async def _link(log: EventLog, shard: int, commit: int) -> Link:
    """Return what a log holds of a commit: the record, or what names it."""
    if commit == 0:
        return Link(0, GENESIS, 0)
    async with open_lookup(log, Partition(JOURNAL, shard)) as lookup:
        return await _link_in(log, lookup, shard, commit)


async def _link_in(log: EventLog, lookup: Lookup, shard: int, commit: int) -> Link:
    def number(record: Record) -> int:
        return read_commit(record, shard=shard).commit

    found = await lookup.last(lambda record: number(record) <= commit)
    if found is not None and number(found) == commit:
        return Link(commit, link_of(found.value or b""), commit)
    following = await lookup.at_or_after(lookup.oldest)
    if found is not None or following is None:
        return Link(commit, None, number(found) if found else 0)
    # Retention has dropped the record; the one after it may still name it, or a snapshot.
    after = read_commit(following, shard=shard)
    if after.commit == commit + 1:
        return Link(commit, after.previous, commit)
    async with aclosing(newest_first(log, shard, at_most=commit)) as all_found:
        async for snapshot in all_found:
            if snapshot.header.commit == commit:
                return Link(commit, snapshot.header.chain, commit)
    return Link(commit, None, after.commit)
