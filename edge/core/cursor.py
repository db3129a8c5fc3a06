"""How far a client is with the log, as a short text that any edge can read.

``2.LOG.TIME.POSITION-POSITION-….TERMS``, numbers in hexadecimal: the first twelve digits
of the log's id, an append time in milliseconds, for each partition of ``latest`` the offset
of the next record, and a digest of the terms in which these positions were reached (``0``
where one is not known). Everything in it comes from the log, so it means the same to every
edge. A cursor of version 1 has no terms: it can be read, and is refused.
"""

import re
from dataclasses import dataclass
from enum import Enum

from edge.core.places import Positions
from edge.core.table import Table
from edge.core.timeline import digest_of, successor, term_at
from schemas.log import LogIdentity

_NUMBER = "(?:0|[1-9a-f][0-9a-f]{0,13})"
_PLACE = rf"([0-9a-f]{{12}})\.({_NUMBER})\.({_NUMBER}(?:-{_NUMBER}){{0,1023}})"
_WITH_TERMS = rf"2\.{_PLACE}\.(0|[0-9a-f]{{16}})"
_WITHOUT_TERMS = rf"1\.{_PLACE}"
# The whole of a cursor, as text, of either version.
PATTERN = f"(?:{_WITH_TERMS}|{_WITHOUT_TERMS})"
_VERSIONS = re.compile(_WITH_TERMS), re.compile(_WITHOUT_TERMS)
_LOG_DIGITS = 12
_UNKNOWN_TERMS = "0"
# A clock that is off by less than this makes no cursor too old: edges refuse cursors an
# hour before the log forgets tombstones.
_CLOCK_SLACK_MS = 600_000


class Refusal(Enum):
    """Why completeness since a cursor cannot be proved."""

    UNREADABLE = "unreadable"
    OTHER_LOG = "other-log"
    OTHER_TIMELINE = "other-timeline"
    TOO_OLD = "too-old"
    AHEAD = "ahead"


@dataclass(frozen=True, slots=True)
class Cursor:
    """All records before ``positions`` were taken in.

    None of the records that were not was appended before ``time_ms``, by the clock of the
    log. ``terms`` is the digest of the terms of all positions; ``None`` if not all are
    known, or if the cursor is of version 1.
    """

    log: str
    time_ms: int
    positions: tuple[int, ...]
    terms: str | None

    @property
    def by_partition(self) -> Positions:
        """The positions by partition."""
        return dict(enumerate(self.positions))

    def text(self) -> str:
        """Return the cursor as clients keep it."""
        positions = "-".join(f"{position:x}" for position in self.positions)
        terms = self.terms or _UNKNOWN_TERMS
        return f"2.{self.log}.{self.time_ms:x}.{positions}.{terms}"


def parse_cursor(text: str) -> Cursor | None:
    """Read a cursor; ``None`` for what is none."""
    with_terms, without = _VERSIONS
    found = with_terms.fullmatch(text) or without.fullmatch(text)
    if found is None:
        return None
    log, time_ms, positions, *terms = found.groups()
    return Cursor(
        log,
        int(time_ms, 16),
        tuple(int(position, 16) for position in positions.split("-")),
        terms[0] if terms and terms[0] != _UNKNOWN_TERMS else None,
    )


def log_name(identity: LogIdentity) -> str:
    """Return what cursors call a log."""
    return identity.id[:_LOG_DIGITS]


def cursor_of(table: Table) -> Cursor | None:
    """Return the cursor of a client that has all there is; ``None`` of an unnamed log.

    Later records are appended later than the last record read, partition by partition.
    Where none was read nothing is known: such a cursor is as good as one from the beginning
    of time. It has the append time of the last record and not the log time, which stays
    ahead for as long as a clock once was.
    """
    if table.identity is None:
        return None
    parts = range(table.identity.partitions)
    return Cursor(
        log_name(table.identity),
        min(table.append_times.get(part, 0) for part in parts),
        tuple(table.positions.get(part, 0) for part in parts),
        table.terms_digest,
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
    latest_ms = max(now_ms, table.newest_ms)
    if cursor.time_ms < latest_ms - tombstones_ms or table.has_forgotten(
        cursor.by_partition
    ):
        return Refusal.TOO_OLD
    if cursor.terms is None:
        return Refusal.OTHER_TIMELINE
    if not has_reached(table, cursor):
        return Refusal.AHEAD
    return _refusal_by_terms(cursor, table, latest_ms=latest_ms)


def _refusal_by_terms(
    cursor: Cursor, table: Table, *, latest_ms: int
) -> Refusal | None:
    """Return why a cursor that the table has reached is not one of this log's.

    Its positions must be those of the terms that it names. And the log's clock must not
    have been ahead when it was taken, for then nobody knows how old it is: it is younger
    than all that was read since, than any record that stands after it, or than the term
    after its own. Once the day has come for which it was taken, it looks young by itself.
    """
    found = {
        part: term_at(table.terms.get(part), position)
        for part, position in enumerate(cursor.positions)
    }
    if digest_of(found.values()) != cursor.terms:
        return Refusal.OTHER_TIMELINE
    later_ms = [latest_ms]
    for part, term in found.items():
        following = successor(table.terms[part], term) if term else None
        if following is not None:
            later_ms.append(following.started_at)
    for part, position in cursor.by_partition.items():
        oldest_ms = table.oldest_ms_since(part, position)
        if oldest_ms is not None:
            later_ms.append(oldest_ms)
    if cursor.time_ms > min(later_ms) + _CLOCK_SLACK_MS:
        return Refusal.TOO_OLD
    return None


def has_reached(table: Table, cursor: Cursor) -> bool:
    """Tell whether a table has all that a cursor covers."""
    return all(
        table.positions.get(part, 0) >= position
        for part, position in enumerate(cursor.positions)
    )
