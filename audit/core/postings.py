"""Lists of offsets as bytes: the differences between them, seven bits a byte."""

from collections.abc import Sequence

_LOW, _MORE, _BITS = 0x7F, 0x80, 7


def packed(offsets: Sequence[int], *, after: int) -> bytes:
    """Return growing offsets as differences, the first from ``after``, which is less."""
    packed_bytes = bytearray()
    for offset in offsets:
        difference = offset - after
        if difference <= 0:
            raise ValueError(f"offset {offset} does not come after {after}")
        while difference > _LOW:
            packed_bytes.append(difference & _LOW | _MORE)
            difference >>= _BITS
        packed_bytes.append(difference)
        after = offset
    return bytes(packed_bytes)


def unpacked(packed_bytes: bytes, *, after: int) -> list[int]:
    """Return the offsets that ``packed`` made bytes of."""
    offsets: list[int] = []
    difference = shift = 0
    for byte in packed_bytes:
        difference |= (byte & _LOW) << shift
        if byte & _MORE:
            shift += _BITS
            continue
        after += difference
        offsets.append(after)
        difference = shift = 0
    return offsets
