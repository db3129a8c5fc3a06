"""What makes a commit provable: hashes over what it read and wrote, and the chain."""

from collections.abc import Sequence
from hashlib import sha256
from struct import Struct
from typing import Protocol

from schemas.base import encode
from schemas.journal import Commit, InputRange, OutputDigest

_place = Struct(">QQI").pack
_length = Struct(">I").pack
_NONE = 0xFFFFFFFF
_PIECE = 500


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
    digest = sha256()
    # In pieces: a commit's worth of the largest records would not fit in memory twice.
    for first in range(0, len(records), _PIECE):
        digest.update(b"".join(_input_frames(records[first : first + _PIECE])))
    return InputRange(
        start=start,
        end=records[-1].offset + 1,
        count=len(records),
        sha256=digest.hexdigest(),
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


def output_digest(outputs: Sequence[tuple[bytes | None, bytes | None]]) -> OutputDigest:
    """Return count and hash of what was written, in order."""
    frames = [
        frame
        for key, value in outputs
        for frame in (
            _length(_NONE if key is None else len(key)),
            key or b"",
            _length(_NONE if value is None else len(value)),
            value or b"",
        )
    ]
    return OutputDigest(count=len(outputs), sha256=sha256(b"".join(frames)).hexdigest())


def link(record: Commit) -> str:
    """Return what the next record of the chain names as ``previous``."""
    return sha256(encode(record)).hexdigest()
