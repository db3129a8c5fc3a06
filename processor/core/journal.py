"""What makes a commit provable: hashes over what it read and wrote, and the chain."""

from collections.abc import Callable, Sequence
from hashlib import sha256
from struct import Struct
from typing import Protocol, TypeVar

from schemas.base import encode
from schemas.journal import Commit, InputRange, OutputDigest

_place = Struct(">QQI").pack
_length = Struct(">I").pack
_NONE = 0xFFFFFFFF
_PIECE = 500

KeyAndValue = tuple[bytes | None, bytes | None]
R = TypeVar("R")


class InputRecord(Protocol):
    """A record of the log as the fold sees it."""

    @property
    def offset(self) -> int:
        """Its place in the partition."""
        ...

    @property
    def time_ms(self) -> int:
        """When the log took it."""
        ...

    @property
    def key(self) -> bytes | None:
        """Whose it is."""
        ...

    @property
    def value(self) -> bytes | None:
        """What it says; ``None`` is a tombstone."""
        ...


def input_range(records: Sequence[InputRecord], *, start: int) -> InputRange:
    """Return the range of records read from ``start`` on; there is at least one."""
    return InputRange(
        start=start,
        end=records[-1].offset + 1,
        count=len(records),
        sha256=_sha256(records, _input_frames),
    )


def _input_frames(records: Sequence[InputRecord]) -> list[bytes]:
    frames: list[bytes] = []
    for record in records:
        key, value = record.key, record.value
        frames += (
            _place(record.offset, record.time_ms, _NONE if key is None else len(key)),
            key or b"",
            _length(_NONE if value is None else len(value)),
            value or b"",
        )
    return frames


def output_digest(outputs: Sequence[KeyAndValue]) -> OutputDigest:
    """Return count and hash of what was written, in order."""
    return OutputDigest(count=len(outputs), sha256=_sha256(outputs, _output_frames))


def _output_frames(outputs: Sequence[KeyAndValue]) -> list[bytes]:
    frames: list[bytes] = []
    for key, value in outputs:
        frames += (
            _length(_NONE if key is None else len(key)),
            key or b"",
            _length(_NONE if value is None else len(value)),
            value or b"",
        )
    return frames


def _sha256(
    records: Sequence[R], frames: Callable[[Sequence[R]], Sequence[bytes]]
) -> str:
    digest = sha256()
    # In pieces: a commit's worth of the largest records would not fit in memory twice,
    # and one of ordinary size takes twice as long in fresh memory as in warm.
    for first in range(0, len(records), _PIECE):
        digest.update(b"".join(frames(records[first : first + _PIECE])))
    return digest.hexdigest()


def link(record: Commit) -> str:
    """Return what the next record of the chain names as ``previous``."""
    return link_of(encode(record))


def link_of(value: bytes) -> str:
    """Return the same of a record's bytes."""
    return sha256(value).hexdigest()
