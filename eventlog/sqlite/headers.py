"""Headers to bytes and back: for each, length and name, length and value."""

from functools import lru_cache
from struct import Struct
from struct import error as StructError  # noqa: N812 - it has no better name

from eventlog.port import Headers

from .values import DamagedValue

_LENGTHS = Struct("<HI")
# Longer ones are not ours, and would fill the memory.
_REMEMBERED_BYTES = 1_024


# All records of a commit carry the same headers: remembering a few is enough.
@lru_cache(maxsize=256)
def encode(headers: tuple[tuple[str, bytes], ...]) -> bytes:
    """Return headers as bytes."""
    parts: list[bytes] = []
    for name, value in headers:
        name_bytes = name.encode()
        parts += [_LENGTHS.pack(len(name_bytes), len(value)), name_bytes, value]
    return b"".join(parts)


class DamagedHeaders(DamagedValue):
    """What stands where headers should stand was not written by us."""

    def __init__(self) -> None:
        super().__init__("the headers of a record")


def decode(stored: bytes) -> Headers:
    """Return the headers that were encoded; raise ``DamagedHeaders`` for anything else."""
    try:
        return _decode(stored) if len(stored) <= _REMEMBERED_BYTES else _parse(stored)
    except (StructError, TypeError, UnicodeDecodeError):
        raise DamagedHeaders from None


@lru_cache(maxsize=256)
def _decode(stored: bytes) -> Headers:
    return _parse(stored)


def _parse(stored: bytes) -> Headers:
    headers: list[tuple[str, bytes]] = []
    at = 0
    while at < len(stored):
        name_bytes, value_bytes = _LENGTHS.unpack_from(stored, at)
        name_at = at + _LENGTHS.size
        value_at = name_at + name_bytes
        at = value_at + value_bytes
        headers.append((stored[name_at:value_at].decode(), stored[value_at:at]))
    return tuple(headers)
