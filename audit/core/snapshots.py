"""A snapshot as bytes: what a shard holds in chunks, and read back from them."""

from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from itertools import chain
from struct import Struct
from typing import NamedTuple

import orjson

from processor.core.shard_state import ShardState
from processor.core.states import UnreadableState
from schemas.base import Malformed, decoder
from schemas.snapshots import (
    MAX_CHUNK_BYTES,
    Header,
    SnapshotChunk,
    declared_in,
)
from schemas.topics import CHANGES, JOURNAL, SNAPSHOTS

from .difference import Check, Difference, DifferenceFound
from .table import Row, Standing, Table

_length, _number = Struct(">I").pack, Struct(">Q").pack
_chunk = decoder(SnapshotChunk)


class Damaged(Exception):
    """A snapshot is not what its header says."""


class Digest:
    """Count and hash of what a snapshot holds, as ``Snapshot`` defines it."""

    def __init__(self) -> None:
        self._hash = sha256()
        self.states = self.rows = 0

    def state(self, key: bytes, value: bytes) -> None:
        """Take in the next record of the state."""
        self._hash.update(_length(len(key)) + key + _length(len(value)) + value)
        self.states += 1

    def row(self, key: bytes, row: Row) -> None:
        """Take in the next row of the table."""
        value = row.value
        self._hash.update(_length(len(key)) + key + _length(len(value)) + value)
        self._hash.update(_number(row.commit))
        self.rows += 1

    @property
    def sha256(self) -> str:
        """The hash of all that was taken in."""
        return self._hash.hexdigest()

    def is_of(self, header: Header) -> bool:
        """Tell whether this is what a header says."""
        said = header.states, header.rows, header.sha256
        return said == (self.states, self.rows, self.sha256)


def _states(state: ShardState) -> list[tuple[bytes, bytes]]:
    return sorted(state.records())


def _rows(table: Table) -> list[tuple[bytes, Row]]:
    return sorted(table.items())


def digest_of(standing: Standing) -> Digest:
    """Return the digest of what a shard holds."""
    digest = Digest()
    for key, value in _states(standing.state):
        digest.state(key, value)
    for key, row in _rows(standing.table):
        digest.row(key, row)
    return digest


class _Item(NamedTuple):
    is_state: bool
    text: bytes


def chunks_of(standing: Standing, snapshot_id: str) -> Iterator[bytes]:
    """Yield the chunks of a snapshot, each the canonical bytes of a ``SnapshotChunk``."""
    items: list[_Item] = []
    size = part = 0
    for item in chain(_state_items(standing.state), _row_items(standing.table)):
        if items and size + len(item.text) > MAX_CHUNK_BYTES:
            yield _chunk_bytes(items, snapshot_id, part)
            items, size, part = [], 0, part + 1
        items.append(item)
        size += len(item.text) + 1
    yield _chunk_bytes(items, snapshot_id, part)


def _state_items(state: ShardState) -> Iterator[_Item]:
    for key, value in _states(state):
        yield _Item(is_state=True, text=orjson.dumps((key.decode(), value.decode())))


def _row_items(table: Table) -> Iterator[_Item]:
    for key, row in _rows(table):
        said = key.decode(), row.value.decode(), row.commit
        yield _Item(is_state=False, text=orjson.dumps(said))


def _chunk_bytes(items: Iterable[_Item], snapshot_id: str, part: int) -> bytes:
    rows = b",".join(text for is_state, text in items if not is_state)
    states = b",".join(text for is_state, text in items if is_state)
    return (
        b'{"part":%d,"rows":[%b],"schema":"snapshot.chunk/1","snapshot":"%b","states":[%b]}'
        % (part, rows, snapshot_id.encode(), states)
    )


class Loading:
    """A snapshot being read back, chunk by chunk; what is not a part of it is ignored."""

    def __init__(self, header: Header) -> None:
        self._header = header
        self._standing = Standing(
            ShardState(header.shard),
            observations=header.observations,
            declared=declared_in(header),
        )
        self._digest = Digest()
        self._parts = 0

    def add(self, value: bytes | None) -> None:
        """Take in the next record that stands between the first chunk and the header."""
        said = _chunk(value or b"")
        if isinstance(said, Malformed) or said.snapshot != self._header.id:
            return
        if said.part != self._parts:
            raise Damaged(f"chunk {self._parts} is missing")
        self._parts += 1
        for key, state in said.states:
            self._digest.state(key.encode(), state.encode())
            self._load(key.encode(), state.encode())
        for key, text, commit in said.rows:
            row = Row(text.encode(), commit)
            self._digest.row(key.encode(), row)
            self._standing.table[key.encode()] = row

    def _load(self, key: bytes, state: bytes) -> None:
        try:
            self._standing.state.load(key, state)
        except UnreadableState as error:
            raise Damaged(f"{error}") from None

    def end(self) -> Standing:
        """Return what the shard held; raise ``Damaged`` if the header says otherwise."""
        header, position = self._header, self._standing.state.position
        if self._parts != header.chunks:
            raise Damaged(f"it has {self._parts} chunks, not {header.chunks}")
        if not self._digest.is_of(header):
            raise Damaged("its content is not that of its hash")
        if (position.commit, position.chain) != (header.commit, header.chain):
            raise Damaged("its state is of another commit than its header")
        return self._standing


def can_start(header: Header, oldest: Mapping[str, int]) -> bool:
    """Tell whether all that comes after a snapshot is still in the log.

    ``oldest`` is, by topic, the offset below which retention dropped everything.
    """
    return all(header.places.get(topic, 0) >= at for topic, at in oldest.items())


def difference_in(
    header: Header, standing: Standing, places: Mapping[str, int], *, offset: int
) -> Difference | None:
    """Return how a header differs from what a shard holds at its commit.

    ``places`` are the next offsets after that commit, ``offset`` is where the header is.
    """
    position, digest = standing.state.position, digest_of(standing)
    # Where topics begin that nothing was read from may move with retention.
    sure = {JOURNAL, CHANGES, *position.positions} & places.keys()
    ours = (
        ("hash", digest.sha256, header.sha256),
        ("chain", position.chain, header.chain),
        ("states", digest.states, header.states),
        ("rows", digest.rows, header.rows),
        ("log time", position.log_time, header.log_time),
        ("observations", *_observations(header, standing)),
        *((topic, places[topic], header.places.get(topic)) for topic in sorted(sure)),
    )
    for name, expected, found in ours:
        if expected != found:
            return Difference(
                Check.SNAPSHOT,
                header.shard,
                header.commit,
                SNAPSHOTS,
                expected=f"{name} {expected}",
                found=f"{name} {found}",
                offset=offset,
            )
    return None


def _observations(header: Header, standing: Standing) -> tuple[int, int]:
    """Return how many were counted; from another beginning that is another number."""
    if declared_in(header) != standing.declared:
        return header.observations, header.observations
    return standing.observations, header.observations


def of_no_commit(header: Header, newest: int, *, offset: int) -> DifferenceFound:
    """Return a snapshot of a commit that the journal, which ends with ``newest``, lacks."""
    return DifferenceFound(
        Difference(
            Check.SNAPSHOT,
            header.shard,
            header.commit,
            SNAPSHOTS,
            expected=f"one of a commit up to {newest}",
            found=f"one of commit {header.commit}",
            offset=offset,
        )
    )


def damage(header: Header, error: Damaged, *, offset: int) -> DifferenceFound:
    """Return a damaged snapshot as what it is to whoever wants to start from it."""
    return DifferenceFound(
        Difference(
            Check.SNAPSHOT,
            header.shard,
            header.commit,
            SNAPSHOTS,
            expected="what its header says",
            found=f"{error}",
            offset=offset,
        )
    )
