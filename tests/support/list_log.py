"""A log as lists of records, to be read and changed at will; its own words are the port's."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from copy import deepcopy
from typing import Any, cast

from eventlog.port import (
    Batches,
    Entry,
    EventLog,
    OffsetOutOfRange,
    Partition,
    Record,
    TopicSpec,
)

NOW_MS = 20_000_000


class ListLog:
    """Each partition is a list of records in the order of their offsets.

    ``dropped`` is the offset below which retention dropped everything, 0 where it is not
    named. Nobody is kept from anything: a test may edit the lists.
    """

    where = "a list"
    one_time_a_commit = True

    def __init__(self, partitions: int) -> None:
        self.partitions = partitions
        self.records: dict[Partition, list[Record]] = {}
        self.dropped: dict[Partition, int] = {}
        self._holes: dict[Partition, int] = {}

    def as_log(self) -> EventLog:
        return cast(EventLog, self)

    def copy(self) -> "ListLog":
        return deepcopy(self)

    def of(self, topic: str, shard: int) -> list[Record]:
        return self.records.setdefault(Partition(topic, shard), [])

    def put(
        self,
        topic: str,
        shard: int,
        entries: Sequence[Any],
        *,
        time_ms: int = NOW_MS,
        holes: int = 0,
    ) -> None:
        """Append entries; ``holes`` offsets stay empty after them, as on a broker."""
        records = self.of(topic, shard)
        end = self.end(Partition(topic, shard))
        for offset, (key, value, headers) in enumerate(entries, start=end):
            records.append(Record(offset, time_ms, key, value, headers))
        self._holes[Partition(topic, shard)] = holes if entries else 0

    def end(self, at: Partition) -> int:
        records = self.records.get(at)
        if not records:
            return self.dropped.get(at, 0)
        return records[-1].offset + 1 + self._holes.get(at, 0)

    async def create(self, topics: Sequence[TopicSpec]) -> tuple[str, ...]:
        return tuple(topic.name for topic in topics)

    async def append(
        self, topic: str, entries: Sequence[tuple[int, Entry]]
    ) -> tuple[int, ...]:
        offsets = []
        for shard, entry in entries:
            offsets.append(self.end(Partition(topic, shard)))
            self.put(topic, shard, [entry])
        return tuple(offsets)

    async def oldest(self, partitions: Sequence[Partition]) -> Mapping[Partition, int]:
        return {at: self.dropped.get(at, 0) for at in partitions}

    async def ends(self, partitions: Sequence[Partition]) -> Mapping[Partition, int]:
        return {at: self.end(at) for at in partitions}

    @asynccontextmanager
    async def reader(
        self, positions: Mapping[Partition, int]
    ) -> AsyncIterator["ListReader"]:
        yield ListReader(self, positions)


class ListReader:
    """Reads the lists as they are when it is asked."""

    def __init__(self, log: ListLog, positions: Mapping[Partition, int]) -> None:
        self._log, self._positions = log, dict(positions)

    async def read(self, *, max_records: int, wait_s: float) -> Batches:
        await asyncio.sleep(0)
        found: dict[Partition, list[Record]] = {}
        for at, position in self._positions.items():
            oldest, end = self._log.dropped.get(at, 0), self._log.end(at)
            if not oldest <= position <= end:
                raise OffsetOutOfRange(at, offset=position, oldest=oldest, end=end)
            records = [r for r in self._log.of(*at) if r.offset >= position]
            if records:
                found[at] = records[:max_records]
            whole = len(records) <= max_records
            self._positions[at] = end if whole else found[at][-1].offset + 1
        return found

    def position(self, partition: Partition) -> int:
        return self._positions[partition]

    def seek(self, partition: Partition, position: int) -> None:
        self._positions[partition] = position
