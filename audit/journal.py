"""Finding commits in the journal of one shard without reading it all."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple

from audit.core.commits import read_commit
from eventlog.port import EventLog, Partition, Reader, Record
from schemas.journal import Commit
from schemas.topics import JOURNAL


class Lookup:
    """Single records of one partition, by where they stand."""

    def __init__(self, reader: Reader, at: Partition, *, oldest: int, end: int) -> None:
        self._reader, self._at = reader, at
        self.oldest, self.end = oldest, end

    async def at_or_after(self, offset: int) -> Record | None:
        """Return the first record at ``offset`` or later; ``None`` if there is none."""
        self._reader.seek(self._at, offset)
        while self._reader.position(self._at) < self.end:
            batches = await self._reader.read(max_records=1, wait_s=1.0)
            if records := batches.get(self._at):
                return records[0] if records[0].offset < self.end else None
        return None

    async def last(self, holds: Callable[[Record], bool]) -> Record | None:
        """Return the last record for which ``holds``; those come before all others."""
        low, high = self.oldest, self.end
        found: Record | None = None
        while low < high:
            middle = (low + high) // 2
            record = await self.at_or_after(middle)
            if record is not None and holds(record):
                found, low = record, record.offset + 1
            else:
                high = middle
        return found


@asynccontextmanager
async def open_lookup(log: EventLog, at: Partition) -> AsyncIterator[Lookup]:
    """Look at a partition as it is now."""
    oldest, end = (await log.oldest([at]))[at], (await log.ends([at]))[at]
    async with log.reader({at: oldest}) as reader:
        yield Lookup(reader, at, oldest=oldest, end=end)


class Found(NamedTuple):
    """A commit and where its journal record stands."""

    offset: int
    said: Commit


async def last_commit(
    log: EventLog, shard: int, holds: Callable[[Commit], bool] = lambda _: True
) -> Found | None:
    """Return the last commit of a shard for which ``holds``; ``None`` if for none.

    What holds for a commit must hold for all before it. Raises ``DifferenceFound`` for a
    record that cannot be read.
    """

    def record_holds(record: Record) -> bool:
        return holds(read_commit(record, shard=shard))

    async with open_lookup(log, Partition(JOURNAL, shard)) as lookup:
        record = await lookup.last(record_holds)
    return Found(record.offset, read_commit(record, shard=shard)) if record else None
