"""The state of one owner out of a snapshot, without building that of all."""

from audit.core.snapshots import Damaged
from audit.snapshots import FoundSnapshot
from audit.streams import open_stream
from eventlog.port import EventLog, Partition
from processor.core.shard_state import KINDS
from schemas.base import Malformed, decoder
from schemas.snapshots import SnapshotChunk
from schemas.topics import SNAPSHOTS

_AT_ONCE = 8
_chunk = decoder(SnapshotChunk)


async def owner_records(
    log: EventLog, found: FoundSnapshot, topic: str, owner: bytes
) -> list[tuple[bytes, bytes]]:
    """Return the state that observations of ``topic`` have left of an owner.

    The hash over all is not checked: what is derived from them is compared with the log.
    Raises ``Damaged`` where chunks are missing.
    """
    header = found.header
    kind = KINDS[topic]
    itself, parts = b"%b:%b" % (kind.itself, owner), b"%b:%b:" % (kind.part, owner)
    # Most chunks are of others, and need not be read as JSON to see that.
    name, own = b"%b" % owner, header.id.encode()
    held: list[tuple[bytes, bytes]] = []
    chunks = 0
    at = Partition(SNAPSHOTS, header.shard)
    # Chunks are large, and those of the next snapshot are not asked for.
    opened = open_stream(log, at, start=header.first, settle_s=0.0, at_once=_AT_ONCE)
    async with opened as stream:
        while records := await stream.take_before(found.offset, at_most=_AT_ONCE):
            values = [record.value or b"" for record in records]
            chunks += sum(own in value for value in values)
            for value in values:
                states = _states(value, header.id) if name in value else ()
                held += [
                    (key, state)
                    for key, state in states
                    if key == itself or key.startswith(parts)
                ]
    if chunks != header.chunks:
        raise Damaged(f"it has {chunks} chunks, not {header.chunks}")
    return held


def _states(value: bytes, snapshot_id: str) -> list[tuple[bytes, bytes]]:
    said = _chunk(value)
    if isinstance(said, Malformed) or said.snapshot != snapshot_id:
        return []
    return [(key.encode(), state.encode()) for key, state in said.states]
