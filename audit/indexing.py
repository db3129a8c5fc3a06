"""The index brought up to where the log ends now."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import NamedTuple

from audit.core.commits import read_commit
from audit.index import Index, Moved
from audit.streams import Stream, open_stream
from eventlog.port import EventLog, Partition, Record
from schemas.topics import CHANGES, JOURNAL, RAW, REJECTS

# Of many records at a time an owner has several, which are noted at once.
_COMMITS_AT_ONCE, _RECORDS_AT_ONCE = 5_000, 40_000
INDEXED = (JOURNAL, CHANGES, REJECTS, *RAW)
# Told how many records were indexed since the last time.
Progress = Callable[[int], None]


class _Stretch(NamedTuple):
    """Records that are next in a partition, and the offsets around them."""

    records: Sequence[Record]
    before: int
    after: int


async def extend_index(
    log: EventLog, index: Index, shard: int, *, progress: Progress = lambda _: None
) -> None:
    """Index what has come into the partitions of a shard since the last time.

    Another process may do so at the same time. The journal goes first, so that what it
    names is indexed when this returns.
    """
    partitions = [Partition(topic, shard) for topic in INDEXED]
    oldest, ends = await log.oldest(partitions), await log.ends(partitions)
    for at in partitions:
        await _extend(log, index, at, (oldest[at], ends[at]), progress)


async def _extend(
    log: EventLog,
    index: Index,
    at: Partition,
    bounds: tuple[int, int],
    progress: Progress,
) -> None:
    oldest, end = bounds
    while True:
        before = index.next_of(*at)[0]
        if before >= end:
            return
        start = max(before, oldest)
        async with open_stream(log, at, start=start, settle_s=0.0) as stream:
            try:
                await _follow(index, at, stream, (before, end), progress)
            except Moved:
                continue
        return


async def _follow(
    index: Index,
    at: Partition,
    stream: Stream,
    bounds: tuple[int, int],
    progress: Progress,
) -> None:
    before, end = bounds
    add, at_once = _add_postings, _RECORDS_AT_ONCE
    if at.topic == JOURNAL:
        add, at_once = _add_commits, _COMMITS_AT_ONCE
    while before < end:
        records = await stream.take_before(end, at_most=at_once)
        # A partition may end in offsets that hold nothing.
        after = stream.position if len(records) == at_once else end
        add(index, at, _Stretch(records, before, after))
        progress(len(records))
        before = after


def _add_commits(index: Index, at: Partition, stretch: _Stretch) -> None:
    way = index.way_of(at.number)
    commits = [(r.offset, read_commit(r, shard=at.number)) for r in stretch.records]
    noted = way.follow(commits)
    index.add_commits(
        at.number, noted, before=stretch.before, after=stretch.after, way=way
    )


def _add_postings(index: Index, at: Partition, stretch: _Stretch) -> None:
    postings: dict[bytes, list[int]] = defaultdict(list)
    for record in stretch.records:
        postings[record.key or b""].append(record.offset)
    index.add(*at, postings, before=stretch.before, after=stretch.after)
