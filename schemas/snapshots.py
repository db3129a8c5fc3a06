"""What a shard holds at a commit, written down: where reading history again may start.

In its partition of ``snapshots`` a snapshot is a run of chunks and then, as its last
record, the header. Without a header the chunks before it are no snapshot.
"""

from typing import Annotated, Literal

from pydantic import Field

from schemas.base import Count, Event, Millis, Sha256
from schemas.journal import Version

# A chunk ends with the item that reaches it; one item alone may be larger.
MAX_CHUNK_BYTES = 512 * 1_024

SnapshotId = Annotated[str, Field(pattern="^[0-9a-f]{32}$")]


class SnapshotChunk(Event):
    """A part of a snapshot; ``part`` counts from 0.

    ``states`` are key and value of records of ``state``, the position among them;
    ``rows`` are key, value and commit of the public table. Both are in the order of
    their keys, all states before all rows, and all values are as they were written.
    """

    schema_: Literal["snapshot.chunk/1"] = Field("snapshot.chunk/1", alias="schema")
    snapshot: SnapshotId
    part: Count
    states: tuple[tuple[str, str], ...]
    rows: tuple[tuple[str, str, Version], ...]


class Snapshot(Event):
    """The header: of what moment the snapshot is, and what it must hold.

    ``places`` are the next offset of each topic after ``commit``; ``first`` is the offset
    of the first chunk, ``observations`` how many the shard had folded. The hash is over
    key and value of each state, then key, value and commit of each row: keys and values
    with a length of 4 bytes before each, commits as 8 bytes; all big-endian.
    """

    schema_: Literal["snapshot/1"] = Field("snapshot/1", alias="schema")
    id: SnapshotId
    shard: Count
    commit: Version
    generation: Version
    log_time: Millis
    chain: Sha256
    places: dict[str, Count]
    first: Count
    chunks: Count
    states: Count
    rows: Count
    observations: Count
    sha256: Sha256
