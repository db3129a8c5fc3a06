"""How far a client is with the log, as a short text that any edge can read.

``1.LOG.TIME.POSITION-POSITION-…``, numbers in hexadecimal: the first twelve digits of the
log's id, a log time in milliseconds, and for each partition of ``latest`` the offset of
the next record. Everything in it comes from the log, so it means the same to every edge.
"""

import re
from dataclasses import dataclass
from enum import Enum

from edge.core.places import Positions
from edge.core.table import Table
from schemas.log import LogIdentity

_NUMBER = "(?:0|[1-9a-f][0-9a-f]{0,13})"
# The whole of a cursor, as text.
PATTERN = rf"1\.([0-9a-f]{{12}})\.({_NUMBER})\.({_NUMBER}(?:-{_NUMBER}){{0,1023}})"
_CURSOR = re.compile(PATTERN)
_LOG_DIGITS = 12


class Refusal(Enum):
    """Why completeness since a cursor cannot be proved."""

    UNREADABLE = "unreadable"
    OTHER_LOG = "other-log"
    TOO_OLD = "too-old"
    AHEAD = "ahead"


@dataclass(frozen=True, slots=True)
class Cursor:
    """All records before ``positions`` were taken in.

    None of the records that were not is older than ``time_ms`` (log time).
    """

    log: str
    time_ms: int
    positions: tuple[int, ...]

    @property
    def by_partition(self) -> Positions:
        """The positions by partition."""
        return dict(enumerate(self.positions))

    def text(self) -> str:
        """Return the cursor as clients keep it."""
        positions = "-".join(f"{position:x}" for position in self.positions)
        return f"1.{self.log}.{self.time_ms:x}.{positions}"


def parse_cursor(text: str) -> Cursor | None:
    """Read a cursor; ``None`` for what is none."""
    found = _CURSOR.fullmatch(text)
    if found is None:
        return None
    log, time_ms, positions = found.groups()
    return Cursor(
        log, int(time_ms, 16), tuple(int(each, 16) for each in positions.split("-"))
    )


def log_name(identity: LogIdentity) -> str:
    """Return what cursors call a log."""
    return identity.id[:_LOG_DIGITS]


def cursor_of(table: Table) -> Cursor | None:
    """Return the cursor of a client that has all there is; ``None`` of an unnamed log.

    Later records have log times that are not smaller than that of the last record read,
    partition by partition. Where none was read nothing is known: such a cursor is as good
    as one from the beginning of time.
    """
    if table.identity is None:
        return None
    parts = range(table.identity.partitions)
    return Cursor(
        log_name(table.identity),
        min(table.log_times.get(part, 0) for part in parts),
        tuple(table.positions.get(part, 0) for part in parts),
    )


def refusal(
    cursor: Cursor | None, table: Table, *, now_ms: int, tombstones_ms: int
) -> Refusal | None:
    """Return why what changed since a cursor cannot be told; ``None`` if it can.

    Withdrawn keys are the reason for an age: the log forgets them after a day, so what
    was withdrawn longer ago may be known to the client alone. All that were withdrawn
    within ``tombstones_ms`` are in the table, however late this edge began to read:
    ``tombstones_ms`` is less than what the log keeps, by more than reading it takes and
    clocks differ.
    """
    if cursor is None:
        return Refusal.UNREADABLE
    identity = table.identity
    if (
        identity is None
        or cursor.log != log_name(identity)
        or len(cursor.positions) != identity.partitions
    ):
        return Refusal.OTHER_LOG
    # By our clock too: a log that nobody writes to forgets all the same.
    oldest_ms = max(now_ms, table.newest_ms) - tombstones_ms
    forgotten_ms = max(
        table.registry_places.forgotten_ms, table.balance_places.forgotten_ms
    )
    if cursor.time_ms < oldest_ms or cursor.time_ms <= forgotten_ms:
        return Refusal.TOO_OLD
    return None if has_reached(table, cursor) else Refusal.AHEAD


def has_reached(table: Table, cursor: Cursor) -> bool:
    """Tell whether a table has all that a cursor covers."""
    return all(
        table.positions.get(part, 0) >= position
        for part, position in enumerate(cursor.positions)
    )
