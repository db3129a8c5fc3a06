"""Single records of one partition, by their offsets, and the commits that read them."""

from bisect import bisect_right
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

from audit.core.commits import read_commit
from audit.core.waypoints import SPARSE
from audit.errors import IndexWrong
from audit.index import Index
from eventlog.port import EventLog, Partition, Reader, Record
from schemas.journal import Commit
from schemas.topics import JOURNAL

# Offsets nearer to one another than this are read with all that lies between: to look
# elsewhere costs as much. Of a broker it is some milliseconds, of a file far less.
NEAR, NEAR_IN_A_FILE = 500, 100
_BATCH = 1_000


class Picker:
    """Records of one key in one partition, by where they stand."""

    def __init__(
        self, reader: Reader, at: Partition, *, oldest: int, key: bytes, near: int
    ) -> None:
        self._reader, self._at = reader, at
        self._oldest, self._key, self._near = oldest, key, near

    async def pick(self, offsets: Sequence[int]) -> AsyncIterator[Record]:
        """Yield the records that stand at growing offsets, as far as they are held.

        Raises ``IndexWrong`` where something else stands at one of them.
        """
        wanted = [offset for offset in offsets if offset >= self._oldest]
        for group in _groups(wanted, self._near):
            self._reader.seek(self._at, group[0])
            async for record in _group(self._reader, self._at, group, self._key):
                yield record


@asynccontextmanager
async def open_picker(
    log: EventLog, at: Partition, *, key: bytes, near: int = NEAR
) -> AsyncIterator[Picker]:
    """Pick records of a key out of a partition as it is now."""
    oldest = (await log.oldest([at]))[at]
    async with log.reader({at: oldest}) as reader:
        yield Picker(reader, at, oldest=oldest, key=key, near=near)


async def picked(
    log: EventLog, at: Partition, offsets: Sequence[int], *, key: bytes
) -> list[Record]:
    """Return the records of a key that stand at growing offsets; see ``Picker.pick``."""
    async with open_picker(log, at, key=key) as picker:
        return [record async for record in picker.pick(offsets)]


def _groups(offsets: Sequence[int], near: int) -> list[list[int]]:
    groups: list[list[int]] = []
    for offset in offsets:
        if groups and offset - groups[-1][-1] <= near:
            groups[-1].append(offset)
        else:
            groups.append([offset])
    return groups


async def _group(
    reader: Reader, at: Partition, group: Sequence[int], key: bytes
) -> AsyncIterator[Record]:
    wanted, last = iter(group), group[-1]
    offset = next(wanted, None)
    while offset is not None and reader.position(at) <= last:
        count = min(_BATCH, last + 1 - reader.position(at))
        batches = await reader.read(max_records=count, wait_s=1.0)
        for record in batches.get(at, ()):
            if offset is None or record.offset < offset:
                continue
            if record.offset > offset or (record.key or b"") != key:
                raise IndexWrong(at.topic, at.number, offset=offset)
            yield record
            offset = next(wanted, None)
    if offset is not None:
        raise IndexWrong(at.topic, at.number, offset=offset)


class CommitAt(NamedTuple):
    """A commit and where its journal record stands."""

    offset: int
    said: Commit


class Finder:
    """Finds commits of one shard by what they read, through the index."""

    def __init__(
        self, reader: Reader, index: Index, shard: int, *, oldest: int, end: int
    ) -> None:
        self._reader, self._index = reader, index
        self._at, self._oldest, self._end = Partition(JOURNAL, shard), oldest, end
        self._segment: list[CommitAt] = []
        self._ahead: list[Record] = []
        self._at_once = SPARSE

    async def of_raw(self, topic: str, offset: int) -> CommitAt | None:
        """Return the commit that read a record; ``None`` if none has."""
        found = await self.past(topic, offset)
        is_read = found is not None and offset >= found.said.inputs[topic].start
        return found if is_read else None

    async def past(self, topic: str, offset: int) -> CommitAt | None:
        """Return the commit that read on past a record; ``None`` if none has yet.

        It read the record itself, unless that stands in a gap.
        """
        start = self._index.before_raw(self._at.number, topic, offset)
        while segment := await self._from(start):
            for found in segment:
                part = found.said.inputs.get(topic)
                if part is not None and offset < part.end:
                    return found
            start = segment[-1].offset + 1
        return None

    async def numbered(self, commit: int) -> CommitAt | None:
        """Return the commit with a number; ``None`` if there is none."""
        start = self._index.before_commit(self._at.number, commit)
        while segment := await self._from(start):
            number = bisect_right(segment, commit, key=lambda each: each.said.commit)
            if number and segment[number - 1].said.commit == commit:
                return segment[number - 1]
            if segment[-1].said.commit > commit:
                return None
            start = segment[-1].offset + 1
        return None

    async def _from(self, start: int) -> list[CommitAt]:
        """Return the commits from an offset in the journal on, some of them."""
        # The index still knows what retention has dropped.
        start = max(start, self._oldest)
        held = self._segment
        if held and held[0].offset == start:
            return held
        self._go_to(start)
        while len(self._ahead) < SPARSE and self._reader.position(self._at) < self._end:
            batches = await self._reader.read(max_records=self._at_once, wait_s=1.0)
            records = batches.get(self._at, ())
            self._ahead += [record for record in records if record.offset >= start]
            self._at_once = _BATCH
        self._segment = [
            CommitAt(record.offset, read_commit(record, shard=self._at.number))
            for record in self._ahead[:SPARSE]
        ]
        return self._segment

    def _go_to(self, start: int) -> None:
        """Have what was read ahead begin at an offset; if that is far, read from there."""
        position = self._reader.position(self._at)
        first = self._ahead[0].offset if self._ahead else position
        if first <= start <= position + NEAR:
            self._ahead = [record for record in self._ahead if record.offset >= start]
        else:
            self._reader.seek(self._at, start)
            # Whoever looks for one commit needs no more; for the next ones it is near.
            self._ahead, self._at_once = [], SPARSE


@asynccontextmanager
async def open_finder(log: EventLog, index: Index, shard: int) -> AsyncIterator[Finder]:
    """Look for commits of a shard in its journal as it is now."""
    at = Partition(JOURNAL, shard)
    oldest, end = (await log.oldest([at]))[at], (await log.ends([at]))[at]
    async with log.reader({at: oldest}) as reader:
        yield Finder(reader, index, shard, oldest=oldest, end=end)
