"""Positions by log time, and ages: what a broker answers, and what is to be corrected.

Asked for a time, Kafka answers with the first offset whose own time is not before it.
That is where the running maximum reaches the time, also where the clock stepped back:
measured against a scan of random times, on segments with and without index entries.
But it counts what no reader sees: markers and aborted records have times too, and may
come before the first record that counts. So the answer is a place at or before the
right one, and we read on from there; nearly always the first record is the one.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager

from eventlog.port import OffsetOutOfRange, Partition, Reader

from .offsets import Offsets

OpenReader = Callable[[Mapping[Partition, int]], AbstractAsyncContextManager[Reader]]

_RECORDS_A_READ = 500
_WAIT_S = 0.1
# A partition that says nothing for so long does not answer now.
_SILENT_S = 1.0


async def positions_at(
    partitions: Sequence[Partition],
    *,
    time_ms: int,
    offsets: Offsets,
    open_reader: OpenReader,
) -> dict[Partition, int]:
    """Return the position of the first record whose log time is ``time_ms`` or later.

    Raises:
        OffsetOutOfRange: Retention deleted what was asked about, twice while we read.
    """
    try:
        return await _looked_up(partitions, time_ms, offsets, open_reader)
    except OffsetOutOfRange:  # deleted between the broker's answer and our reading
        return await _looked_up(partitions, time_ms, offsets, open_reader)


async def ages(
    positions: Mapping[Partition, int],
    *,
    now_ms: int,
    offsets: Offsets,
    open_reader: OpenReader,
) -> dict[Partition, int]:
    """Return how old the first record at each position or after it is.

    Raises:
        OffsetOutOfRange: Retention has passed a position.
    """
    ends = await offsets.ends(list(positions))
    starts = {p: position for p, position in positions.items() if position < ends[p]}
    found: dict[Partition, int] = {}
    if not starts:
        return found
    async with open_reader(starts) as reader:
        while any(reader.position(p) < ends[p] for p in starts):
            batches = await reader.read(max_records=_RECORDS_A_READ, wait_s=_SILENT_S)
            if not batches:  # a partition without a leader: what others say is enough
                break
            for partition, records in batches.items():
                found.setdefault(partition, now_ms - records[0].time_ms)
                reader.seek(partition, ends[partition])
    return found


async def _looked_up(
    partitions: Sequence[Partition],
    time_ms: int,
    offsets: Offsets,
    open_reader: OpenReader,
) -> dict[Partition, int]:
    # A broker takes no time before 1970, and no record has one.
    answers = await offsets.at_time(partitions, time_ms=max(time_ms, 0))
    ends = await offsets.ends(partitions)
    starts = {
        p: offset
        for p, offset in answers.items()
        if offset is not None and offset < ends[p]
    }
    found: dict[Partition, int] = {}
    if starts:
        async with open_reader(starts) as reader:
            found = await _first_at(reader, starts, ends=ends, time_ms=time_ms)
    return {p: found.get(p, ends[p]) for p in partitions}


async def _first_at(
    reader: Reader,
    starts: Mapping[Partition, int],
    *,
    ends: Mapping[Partition, int],
    time_ms: int,
) -> dict[Partition, int]:
    """Read on until each partition showed a record of that time or came to its end."""
    found: dict[Partition, int] = {}
    while any(reader.position(p) < ends[p] for p in starts):
        batches = await reader.read(max_records=_RECORDS_A_READ, wait_s=_WAIT_S)
        for partition, records in batches.items():
            first = next((r.offset for r in records if r.time_ms >= time_ms), None)
            if first is not None:
                found.setdefault(partition, first)
                reader.seek(partition, ends[partition])
    return found
