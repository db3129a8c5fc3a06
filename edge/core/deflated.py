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
