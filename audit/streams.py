"""One partition read in order, some records ahead."""

from bisect import bisect_left
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from operator import attrgetter

from eventlog.port import EventLog, Partition, Reader, Record

_BATCH, _THERE_S = 5_000, 1.0
_offset_of = attrgetter("offset")


class Stream:
    """The records of one partition, taken in order.

    What stands before ``end`` is there and is waited for as long as it takes. Past it,
    ``settle_s`` is how long is waited where more must be: the parts of a transaction need
    not become visible at once. At most ``at_once`` records are read ahead.
    """

    def __init__(
        self,
        reader: Reader,
        at: Partition,
        *,
        start: int,
        end: int,
        settle_s: float,
        at_once: int = _BATCH,
    ) -> None:
        self._reader, self._at = reader, at
        self._at_once = at_once
        self._end, self._settle_s = end, settle_s
        self._records: list[Record] = []
        self._first = 0
        self.position = start

    async def take(self, count: int) -> list[Record]:
        """Take the next ``count`` records, fewer where the log holds no more."""
        while self._held < count and await self._read(self._settle_s):
            pass
        return self._taken(min(count, self._held))

    async def take_before(self, end: int, *, at_most: int) -> list[Record]:
        """Take what stands before offset ``end``, at most so many."""
        while (
            self._held < at_most
            and not self._is_read_to(end)
            and await self._read(self._settle_s)
        ):
            pass
        first = self._first
        most = min(first + at_most, len(self._records))
        last = bisect_left(self._records, end, first, most, key=_offset_of)
        return self._taken(last - first)

    async def peek(self, *, wait_s: float = 0.0, ahead: int = 0) -> Record | None:
        """Return the next record, or one ``ahead`` of it, and take nothing.

        Waits up to ``wait_s`` for it; ``None`` if there is none by then.
        """
        while self._held <= ahead and await self._read(wait_s):
            pass
        if self._held <= ahead:
            return None
        return self._records[self._first + ahead]

    @property
    def _held(self) -> int:
        return len(self._records) - self._first

    def _is_read_to(self, end: int) -> bool:
        if self._held and self._records[-1].offset >= end:
            return True
        return self._reader.position(self._at) >= end

    def _taken(self, count: int) -> list[Record]:
        last = self._first + count
        taken = self._records[self._first : last]
        self._first = last
        if taken:
            self.position = taken[-1].offset + 1
        return taken

    async def _read(self, wait_s: float) -> bool:
        """Read on; tell whether there was anything."""
        while True:
            is_there = self._reader.position(self._at) < self._end
            batches = await self._reader.read(
                max_records=self._at_once, wait_s=_THERE_S if is_there else wait_s
            )
            records = batches.get(self._at)
            if records:
                break
            if not is_there:
                return False
        self._records = [*self._records[self._first :], *records]
        self._first = 0
        return True


@asynccontextmanager
async def open_stream(
    log: EventLog,
    at: Partition,
    *,
    start: int,
    settle_s: float,
    at_once: int = _BATCH,
) -> AsyncIterator[Stream]:
    """Read a partition from ``start``; see ``Stream``."""
    end = (await log.ends([at]))[at]
    async with log.reader({at: start}) as reader:
        yield Stream(
            reader, at, start=start, end=end, settle_s=settle_s, at_once=at_once
        )
