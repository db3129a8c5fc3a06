"""Snapshots in the log: written, found again from the newest back, and read."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing, suppress
from itertools import islice
from typing import Any, NamedTuple

from audit.core.snapshots import Damaged, Loading, can_start, chunks_of, digest_of
from audit.core.table import Standing
from audit.journal import Lookup, open_lookup
from audit.streams import open_stream
from eventlog.port import Entry, EventLog, Partition
from schemas.base import encode
from schemas.snapshots import (
    DeclaredSnapshot,
    Header,
    Snapshot,
    declared_in,
    header_in,
    part_in,
)
from schemas.topics import SNAPSHOTS

# Chunks that are handed to the log at a time.
_AT_ONCE = 8


class FoundSnapshot(NamedTuple):
    """A snapshot by its header, and where that stands."""

    offset: int
    header: Header


async def write_snapshot(
    log: EventLog,
    standing: Standing,
    places: Mapping[str, int],
    *,
    generation: int,
    snapshot_id: str,
) -> Header:
    """Write what a shard holds; ``places`` are the next offsets after its commit.

    The header goes last: until it stands there is no snapshot. Returns the header.
    """
    state = standing.state
    shard, position = state.shard, state.position
    offsets: list[int] = []
    chunks = chunks_of(standing, snapshot_id)
    while group := list(islice(chunks, _AT_ONCE)):
        offsets += await log.append(SNAPSHOTS, _entries(shard, group))
    digest = digest_of(standing)
    fields: dict[str, Any] = {
        "id": snapshot_id,
        "shard": shard,
        "commit": position.commit,
        "generation": generation,
        "log_time": position.log_time,
        "chain": position.chain,
        "places": dict(places),
        "first": offsets[0],
        "chunks": len(offsets),
        "states": digest.states,
        "rows": digest.rows,
        "observations": standing.observations,
        "sha256": digest.sha256,
    }
    declared = standing.declared
    header: Header = Snapshot(**fields)
    if declared:
        header = DeclaredSnapshot(**fields, declared=declared)
    await log.append(SNAPSHOTS, _entries(shard, [encode(header)]))
    return header


def _entries(shard: int, values: Sequence[bytes]) -> list[tuple[int, Entry]]:
    return [(shard, Entry(b"%d" % shard, value)) for value in values]


async def snapshots(log: EventLog, shard: int) -> list[FoundSnapshot]:
    """Return the snapshots of a shard, the newest first."""
    return [found async for found in newest_first(log, shard)]


async def newest_first(
    log: EventLog, shard: int, *, at_most: int | None = None
) -> AsyncGenerator[FoundSnapshot, None]:
    """Yield the snapshots of a shard; chunks are passed over unread.

    Whoever needs one only need not look for those before it: a year has hundreds. With
    ``at_most`` only those of that commit or before; those after it are not walked through.
    """
    async with open_lookup(log, Partition(SNAPSHOTS, shard)) as lookup:
        end = lookup.end
        if at_most is not None:
            end = await _end_of(lookup, at_most=at_most)
        async for found in _back_from(lookup, end):
            if at_most is None or found.header.commit <= at_most:
                yield found


async def _back_from(lookup: Lookup, end: int) -> AsyncGenerator[FoundSnapshot, None]:
    offset = end - 1
    while offset >= lookup.oldest:
        record = await lookup.at_or_after(offset)
        value = record.value if record and record.offset == offset else None
        header = header_in(value)
        if header is None or header.first >= offset:
            # Chunks without a header: whoever wrote them died.
            offset -= part_in(value) + 1
            continue
        if header.first >= lookup.oldest:
            yield FoundSnapshot(offset, header)
        offset = header.first - 1


async def _end_of(lookup: Lookup, *, at_most: int) -> int:
    """Return an offset before which all snapshots up to a commit stand.

    Commits grow from snapshot to snapshot, but for those of one who was slow to learn that
    another has taken over: one of these may be missed, and then an older one is found.
    """
    low, high = lookup.oldest, lookup.end
    while low < high:
        middle = (low + high) // 2
        found = await _last_before(lookup, middle + 1)
        if found is None or found.header.commit <= at_most:
            low = middle + 1
        else:
            high = found.offset
    return low


async def _last_before(lookup: Lookup, end: int) -> FoundSnapshot | None:
    async with aclosing(_back_from(lookup, end)) as all_found:
        async for found in all_found:
            return found
    return None


async def nearest(
    log: EventLog, shard: int, *, at_most: int, oldest: Mapping[str, int]
) -> tuple[FoundSnapshot, Standing] | None:
    """Return the newest intact snapshot of commit ``at_most`` or before, and what it holds.

    ``oldest`` are the topics that are to be read on from there, each with the offset below
    which retention dropped everything.
    """
    async with aclosing(newest_first(log, shard, at_most=at_most)) as all_found:
        async for found in all_found:
            if not can_start(found.header, oldest):
                return None
            with suppress(Damaged):
                return found, await load(log, found)
    return None


async def declared_before(log: EventLog, shard: int, commit: int) -> int:
    """Return the declared point that history up to a commit stands on; 0: on none."""
    async with aclosing(newest_first(log, shard, at_most=commit)) as all_found:
        async for found in all_found:
            return declared_in(found.header)
    return 0


async def oldest_usable(
    log: EventLog, shard: int, oldest: Mapping[str, int]
) -> FoundSnapshot | None:
    """Return the oldest snapshot after which nothing is gone; ``None`` if there is none.

    ``oldest`` is, by topic, the offset below which retention dropped everything.
    """
    usable = [s for s in await snapshots(log, shard) if can_start(s.header, oldest)]
    return usable[-1] if usable else None


async def load(log: EventLog, found: FoundSnapshot) -> Standing:
    """Read a snapshot; raise ``Damaged`` if it is not what its header says."""
    header = found.header
    at = Partition(SNAPSHOTS, header.shard)
    loading = Loading(header)
    # Chunks are large, and those of the next snapshot are not asked for.
    opened = open_stream(log, at, start=header.first, settle_s=0.0, at_once=_AT_ONCE)
    async with opened as stream:
        while records := await stream.take_before(found.offset, at_most=_AT_ONCE):
            for record in records:
                loading.add(record.value)
    return loading.end()
