"""The observations of one owner folded again: one by one, or many at once."""

from bisect import bisect_left
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field

from audit.core.alone import Alone, Step
from audit.core.explained import KEPT
from audit.core.snapshots import Damaged
from audit.core.subjects import Key
from audit.core.waypoints import spans
from audit.errors import HistoryGone, IndexWrong
from audit.index import Index
from audit.owned import owner_records
from audit.picking import NEAR, CommitAt, Finder, Picker, open_picker
from audit.snapshots import newest_first
from eventlog.port import EventLog, Partition, Record
from processor.core.generations import GENERATIONS, Generations

# More than these between two questions are not decided each anew.
LIMIT = 2 * KEPT
_AT_ONCE = 5_000


@dataclass(frozen=True, slots=True)
class Asked:
    """One shard of a log, and the index of it, which must be up to date.

    Observations whose offsets are nearer to one another than ``near`` are read with all
    that lies between.
    """

    log: EventLog
    index: Index
    shard: int
    generations: Generations = field(default_factory=lambda: GENERATIONS)
    near: int = NEAR


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose observations, of which topic."""

    topic: str
    name: bytes


class Refolding:
    """Stands before one of an owner's observations, with what those before it left.

    All that is asked of it goes on from there; an ``end`` is an offset in the topic.
    """

    def __init__(
        self,
        asked: Asked,
        owner: Owner,
        finder: Finder,
        picker: Picker,
        *,
        begun: tuple[Alone, int],
    ) -> None:
        self._asked, self._owner = asked, owner
        self._finder, self._picker = finder, picker
        self._alone, start = begun
        index, shard = asked.index, asked.shard
        self._offsets = index.offsets(owner.topic, shard, owner.name, start=start)
        self._spans = spans(index.eras(shard), owner.topic)
        self._next = 0

    async def end_of(self, commit: int) -> int:
        """Return where the observations end that were read up to a commit."""
        low, high = self._next, len(self._offsets)
        while low < high:
            middle = (low + high) // 2
            found = await self._finder.past(self._owner.topic, self._offsets[middle])
            if found is not None and found.said.commit <= commit:
                low = middle + 1
            else:
                high = middle
        return self._offsets[low - 1] + 1 if low else 0

    async def carry(self, end: int) -> None:
        """Fold all before ``end``, many at once: nobody asks what was decided."""
        for span in self._spans:
            taken = self._take(end if span.end is None else min(end, span.end))
            read = taken[bisect_left(taken, span.start) :]
            if read:
                await self._carry(read)

    async def leap(self, end: int) -> int:
        """Where very many come before ``end``, pass over all but the last of them.

        Returns how many were passed over: from a snapshot that is nearer, or folded many
        at once.
        """
        last = bisect_left(self._offsets, end)
        count = last - self._next - KEPT
        if last - self._next <= LIMIT:
            return 0
        target = self._offsets[last - KEPT]
        await self._jump(target)
        await self.carry(target)
        return count

    async def steps(
        self, end: int, *, key: Key
    ) -> AsyncIterator[tuple[Step, CommitAt]]:
        """Fold all before ``end`` one by one, each as its commit did."""
        async for record in self._picker.pick(self._take(end)):
            found = await self._finder.of_raw(self._owner.topic, record.offset)
            if found is not None:
                yield self.step(record, found, key=key), found

    def step(self, record: Record, found: CommitAt, *, key: Key | None = None) -> Step:
        """Fold the record that comes next, as the commit that read it did."""
        return self._alone.fold(self._owner.topic, record, found.said, key=key)

    def _take(self, end: int) -> Sequence[int]:
        first, self._next = self._next, bisect_left(self._offsets, end, lo=self._next)
        return self._offsets[first : self._next]

    async def _carry(self, offsets: Sequence[int]) -> None:
        """Fold what commits of one era read."""
        topic = self._owner.topic
        rules = await self._finder.of_raw(topic, offsets[0])
        if rules is None:
            raise IndexWrong(topic, self._asked.shard, offset=offsets[0])
        for first in range(0, len(offsets), _AT_ONCE):
            some = offsets[first : first + _AT_ONCE]
            records = [record async for record in self._picker.pick(some)]
            if records:
                self._alone.carry(topic, records, rules.said)

    async def _jump(self, target: int) -> None:
        """Go on from the last snapshot before a record, if that is farther."""
        found = await self._finder.of_raw(self._owner.topic, target)
        begun = found and await _snapshot_before(
            self._asked, self._owner, found.said.commit
        )
        if begun:
            alone, start = begun
            there = bisect_left(self._offsets, start)
            if there > self._next:
                self._alone, self._next = alone, there


@asynccontextmanager
async def open_refolding(
    asked: Asked, finder: Finder, owner: Owner, *, before: int
) -> AsyncIterator[Refolding]:
    """Begin at the last snapshot before commit ``before``, else with the first of all.

    Raises ``HistoryGone`` where neither is there.
    """
    at = Partition(owner.topic, asked.shard)
    begun = await _snapshot_before(asked, owner, before)
    if begun is None:
        (oldest,) = (await asked.log.oldest([at])).values()
        if oldest > 0:
            raise HistoryGone(owner.topic, asked.shard, oldest=oldest)
        begun = Alone(asked.shard, asked.generations), 0
    async with open_picker(asked.log, at, key=owner.name, near=asked.near) as picker:
        yield Refolding(asked, owner, finder, picker, begun=begun)


async def _snapshot_before(
    asked: Asked, owner: Owner, commit: int
) -> tuple[Alone, int] | None:
    """Return an owner's state at the last snapshot before a commit, and where to read on."""
    (oldest,) = (await asked.log.oldest([Partition(owner.topic, asked.shard)])).values()
    all_found = newest_first(asked.log, asked.shard, at_most=commit - 1)
    async with aclosing(all_found):
        async for found in all_found:
            if found.header.places[owner.topic] < oldest:
                return None
            with suppress(Damaged):
                records = await owner_records(asked.log, found, owner.topic, owner.name)
                start = found.header.places[owner.topic]
                return Alone(asked.shard, asked.generations, records), start
    return None
