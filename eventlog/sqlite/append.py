"""Writing records: the rows of a partition, in the transaction of the caller."""

import sqlite3
from collections.abc import Iterable, Sequence

from eventlog.port import Entry, RecordTooLarge

from . import headers as stored_headers
from .schema import OFFSET_BITS
from .topics import MAX_RECORD_BYTES

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
    behind_ms = log_time_ms if log_time_ms > now_ms else None
    db.executemany(
        "INSERT INTO records VALUES (?, ?, ?, ?, ?, ?)",
        _rows(entries, (partition_id << OFFSET_BITS) + first, now_ms, behind_ms),
    )
    db.execute(
        "UPDATE partitions SET next = ?, log_time = ? WHERE id = ?",
        (first + len(entries), max(log_time_ms, now_ms), partition_id),
    )
    return int(first)


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
    for key, value, headers in entries:
        size_bytes = (len(key) if key else 0) + (len(value) if value else 0)
        if headers:
            size_bytes += sum(len(name) + len(held) for name, held in headers)
        if size_bytes > MAX_RECORD_BYTES:
            raise RecordTooLarge(
                topic, size_bytes=size_bytes, limit_bytes=MAX_RECORD_BYTES
            )
