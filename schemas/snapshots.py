"""What a shard holds at a commit, written down: where reading history again may start.

In its partition of ``snapshots`` a snapshot is a run of chunks and then, as its last
record, the header. Without a header the chunks before it are no snapshot.
"""

import re
from typing import Annotated, Literal

from pydantic import Field

from schemas.base import Count, Event, Malformed, Millis, Sha256, decoder
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


class Header(Event):
    """What all versions of the header of a snapshot have in common."""

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


class Snapshot(Header):
    """The header: of what moment the snapshot is, and what it must hold.

    ``places`` are the next offset of each topic after ``commit``; ``first`` is the offset
    of the first chunk, ``observations`` how many the shard had folded. The hash is over
    key and value of each state, then key, value and commit of each row: keys and values
    with a length of 4 bytes before each, commits as 8 bytes; all big-endian.
    """

    schema_: Literal["snapshot/1"] = Field("snapshot/1", alias="schema")


class DeclaredSnapshot(Header):
    """The header of a snapshot that stands on a declared point, for history before it is gone.

    ``declared`` is the commit of that point. Where it is ``commit`` this is the point itself:
    what the snapshot holds was taken from ``state`` and ``latest``, and derived from nothing.
    Every later snapshot that was derived from there on names it too, for ever. All else is
    as in ``Snapshot``.
    """

    schema_: Literal["snapshot/2"] = Field("snapshot/2", alias="schema")
    declared: Version


AnySnapshot = Annotated[Snapshot | DeclaredSnapshot, Field(discriminator="schema_")]

_CHUNK_BEGINS = b'{"part":'
_PART = re.compile(_CHUNK_BEGINS + rb"([0-9]{1,9}),")
_header = decoder(AnySnapshot)


def header_in(value: bytes | None) -> Header | None:
    """Return the header that a record of ``snapshots`` is; ``None`` for anything else."""
    # No header has a part. To find that out by reading a chunk of 1 MB as one takes 30 ms.
    if value is not None and value.startswith(_CHUNK_BEGINS):
        return None
    said: Header | Malformed = _header(value or b"")
    return None if isinstance(said, Malformed) else said


def part_in(value: bytes | None) -> int:
    """Return how many chunks of the same snapshot stand before a record, by its word."""
    # Whoever looks for headers need not read 1 MB for the number that it begins with.
    found = _PART.match(value or b"")
    return int(found[1]) if found else 0


def declared_in(header: Header) -> int:
    """Return the commit of the declared point that a snapshot stands on; 0: on none."""
    return header.declared if isinstance(header, DeclaredSnapshot) else 0
