"""Messages compressed for clients that take permessage-deflate (RFC 7692).

Each by itself, without what was sent before it: so nothing is kept for a client, and the
bytes are the same for all who get the message.
"""

import zlib
from functools import lru_cache
from typing import Final

# Below this a message goes as it is: updates do, snapshots and batches do not.
MIN_BYTES: Final = 1_024
# One window for all, so that all get the same bytes: that of most clients' offers.
WINDOW_BITS: Final = 12
# What both sides agree on: that window, and that no message needs what was in another.
AGREED: Final = (
    f"permessage-deflate; server_max_window_bits={WINDOW_BITS}; "
    "server_no_context_takeover; client_no_context_takeover"
)
# A message may end with a block that says it is the last, and go on after it. Each costs
# as much as a message does.
_MOST_ENDINGS: Final = 8
_EXTENSION = "permessage-deflate"
_OFFERED_BITS: Final = {f"{bits}": bits for bits in range(8, 16)}
_LEVEL: Final = 6
# A message is at most 64 KiB. The same object comes again for each client it is for.
_KEPT: Final = 64
# Every compressed block that is flushed ends so; the protocol leaves it out.
_TRAILER: Final = b"\x00\x00\xff\xff"


@lru_cache(_KEPT)
def deflated(message: bytes) -> bytes:
    """Return the payload of a compressed message, made once for all who get it."""
    made = zlib.compressobj(_LEVEL, zlib.DEFLATED, -WINDOW_BITS)
    flushed = made.compress(message) + made.flush(zlib.Z_SYNC_FLUSH)
    return flushed.removesuffix(_TRAILER)


def inflated(payload: bytes, *, limit_bytes: int) -> bytes | None:
    """Return the message in a compressed payload; ``None`` if it is longer than the limit.

    0 is no limit. Raises ``ValueError`` for what is not compressed as it should be.
    """
    message, rest = b"", payload + _TRAILER
    for _ in range(_MOST_ENDINGS):
        reading = zlib.decompressobj(-zlib.MAX_WBITS)
        most = limit_bytes + 1 - len(message) if limit_bytes else 0
        try:
            message += reading.decompress(rest, most)
        except zlib.error as error:
            raise ValueError(f"{error}") from None
        if 0 < limit_bytes < len(message):
            return None
        rest = reading.unused_data
        if not rest:
            return message
    raise ValueError("too many last blocks")


def is_offered(extensions: str) -> bool:
    """Tell whether a client offers compression that has room for our window.

    ``extensions`` is the header ``Sec-WebSocket-Extensions``: offers, best first.
    """
    return any(map(_is_acceptable, extensions.split(",")))


def _is_acceptable(offer: str) -> bool:
    """Tell whether one offer is ours to take (RFC 7692, 7.1)."""
    name, *written = (part.strip() for part in offer.split(";"))
    parameters = [_parameter(each) for each in written]
    known = {parameter for parameter, _ in parameters}
    return (
        name == _EXTENSION
        and len(known) == len(parameters)
        and all(_is_valid(*parameter) for parameter in parameters)
    )


def _parameter(written: str) -> tuple[str, str | None]:
    name, equals, value = written.partition("=")
    return name.strip(), value.strip().strip('"') if equals else None


def _is_valid(name: str, value: str | None) -> bool:
    match name:
        case "server_no_context_takeover" | "client_no_context_takeover":
            return value is None
        case "client_max_window_bits":
            return value is None or value in _OFFERED_BITS
        case "server_max_window_bits":
            return _OFFERED_BITS.get(value or "", 0) >= WINDOW_BITS
        case _:
            return False
