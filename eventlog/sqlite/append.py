"""Writing records: the rows of a partition, in the transaction of the caller."""

import sqlite3
from collections.abc import Iterable, Sequence
from itertools import chain

from eventlog.port import MAX_RECORD_BYTES, Entry, RecordTooLarge, record_bytes

from . import headers as stored_headers
from .schema import OFFSET_BITS
from .values import PLACE, require_counts

# One statement for several records costs a fifth less than one for each.
_AT_ONCE = 16
_INSERT_ONE = "INSERT INTO records VALUES (?, ?, ?, ?, ?, ?)"
_INSERT_MANY = _INSERT_ONE + ", (?, ?, ?, ?, ?, ?)" * (_AT_ONCE - 1)

_Row = tuple[int, int, int | None, bytes | None, bytes | None, bytes | None]


def append(
    db: sqlite3.Connection,
    partition_id: int,
    entries: Sequence[Entry],
    *,
    now_ms: int,
) -> int:
    """Append entries to a partition; return the offset of the first."""
    first, log_time_ms = db.execute(
        "SELECT next, log_time FROM partitions WHERE id = ?", (partition_id,)
    ).fetchone()
    require_counts((first, log_time_ms), PLACE)
    behind_ms = log_time_ms if log_time_ms > now_ms else None
    first_id = (partition_id << OFFSET_BITS) + first
    _insert(db, _rows(entries, first_id, now_ms, behind_ms))
    db.execute(
        "UPDATE partitions SET next = ?, log_time = ? WHERE id = ?",
        (first + len(entries), max(log_time_ms, now_ms), partition_id),
    )
    return int(first)


def _insert(db: sqlite3.Connection, rows: Sequence[_Row]) -> None:
    whole = len(rows) - len(rows) % _AT_ONCE
    groups = (rows[at : at + _AT_ONCE] for at in range(0, whole, _AT_ONCE))
    if whole:
        db.executemany(_INSERT_MANY, (tuple(chain.from_iterable(g)) for g in groups))
    db.executemany(_INSERT_ONE, rows[whole:])


def _rows(
    entries: Sequence[Entry], first_id: int, time_ms: int, log_time_ms: int | None
) -> list[_Row]:
    encode = stored_headers.encode
    return [
        (
            record_id,
            time_ms,
            log_time_ms,
            key,
            value,
            encode(tuple(headers)) if headers else None,
        )
        for record_id, (key, value, headers) in enumerate(entries, first_id)
    ]


def check_sizes(topic: str, entries: Iterable[Entry]) -> None:
    """Raise ``RecordTooLarge`` if one of the entries is."""
    for entry in entries:
        size_bytes = record_bytes(entry)
        if size_bytes > MAX_RECORD_BYTES:
            raise RecordTooLarge(
                topic, size_bytes=size_bytes, limit_bytes=MAX_RECORD_BYTES
            )
