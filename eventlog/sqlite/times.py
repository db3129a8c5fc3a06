"""Positions by log time: a search in its running maximum, which never steps back."""

import sqlite3

from .schema import OFFSET_BITS, OFFSET_MASK
from .topics import bounds
from .values import APPEND_TIME, require_counts


def position_at(db: sqlite3.Connection, partition_id: int, *, time_ms: int) -> int:
    """Return the position of the first record whose log time is ``time_ms`` or later."""
    low, high = bounds(db, partition_id)
    base = partition_id << OFFSET_BITS
    # Below "low" every log time is earlier; "high" and above none is.
    while low < high:
        middle = (low + high) // 2
        found = _first_from(db, base + middle, base + high)
        if found is None or found[1] >= time_ms:
            high = middle
        else:
            low = (found[0] & OFFSET_MASK) + 1
    first = _first_from(db, base + high, base + OFFSET_MASK)
    return bounds(db, partition_id).end if first is None else first[0] & OFFSET_MASK


def _first_from(db: sqlite3.Connection, low: int, high: int) -> tuple[int, int] | None:
    """Return id and log time of the first record there is from ``low`` on."""
    row: tuple[int, int] | None = db.execute(
        "SELECT id, coalesce(log_time, time) FROM records"
        " WHERE id >= ? AND id < ? ORDER BY id LIMIT 1",
        (low, high),
    ).fetchone()
    require_counts(row or (), APPEND_TIME)
    return row
