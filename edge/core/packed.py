"""What many answers begin with, compressed once: only the end of each is its own.

A gzip stream (RFC 1952) is blocks and a checksum. The blocks of the beginning are made once
and end on a byte; the end is put behind them as it is, in a block that is not compressed.
"""

import zlib
from collections.abc import Iterator

# Below this, an answer is sent sooner than compressed.
MIN_BYTES = 1_024
_LEVEL = 6
_HEAD = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
_STORED, _STORED_LAST = b"\x00", b"\x01"
_STORED_BYTES = 65_535
_32_BITS = 0xFFFFFFFF


class Packed:
    """The beginning of answers; ``pack`` compresses it, the first time it is asked to."""

    __slots__ = ("_checksum", "_packed", "head")

    def __init__(self, head: bytes) -> None:
        self.head = head
        self._packed: bytes | None = None
        self._checksum = 0

    @property
    def is_packed(self) -> bool:
        """Whether compressed answers cost nothing any more."""
        return self._packed is not None

    def pack(self) -> None:
        """Compress the beginning, once: takes milliseconds for a long one."""
        if self._packed is not None:
            return
        made = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
        packed = _HEAD + made.compress(self.head) + made.flush(zlib.Z_SYNC_FLUSH)
        self._checksum = zlib.crc32(self.head)
        self._packed = packed

    def gzip_pieces(self, tail: bytes) -> tuple[bytes, bytes]:
        """Return the answer that ends with ``tail``; all answers share the first piece."""
        self.pack()
        checksum = zlib.crc32(tail, self._checksum)
        length = (len(self.head) + len(tail)) & _32_BITS
        end = checksum.to_bytes(4, "little") + length.to_bytes(4, "little")
        return self._packed or b"", b"".join((*_stored(tail), end))


def _stored(text: bytes) -> Iterator[bytes]:
    """Yield a text as the last blocks of a stream, as it is."""
    for start in range(0, max(len(text), 1), _STORED_BYTES):
        block = text[start : start + _STORED_BYTES]
        yield _STORED_LAST if start + _STORED_BYTES >= len(text) else _STORED
        yield len(block).to_bytes(2, "little")
        yield (len(block) ^ 0xFFFF).to_bytes(2, "little")
        yield block
