"""What an edge offers beside the base protocol, and within which bounds."""

from dataclasses import dataclass

from edge.core.frames import MAX_MESSAGE_BYTES
from schemas.extras import Feature

# The log keeps a tombstone for a day; an hour of it for clocks that differ and for the
# time that reading the table takes.
TOMBSTONES_MS = 23 * 3_600_000


@dataclass(frozen=True, slots=True)
class Rules:
    """By default nothing but the base protocol.

    ``features`` are those that ``HELLO`` may ask for; without any it is unknown. One
    write to a client holds ``piece_bytes``, or one message if that is longer. Cursors are
    taken up to an age of ``tombstones_ms``, which must be less than ``latest`` keeps
    tombstones. Of one ``SUBSCRIBE`` the first ``ids_per_message`` ids are taken, and a
    client is subscribed to at most ``ids_per_client`` of them by name; 0 is no limit.
    """

    features: tuple[Feature, ...] = ()
    piece_bytes: int = MAX_MESSAGE_BYTES
    heartbeat_ms: int = 5_000
    tombstones_ms: int = TOMBSTONES_MS
    ids_per_message: int = 0
    ids_per_client: int = 0
