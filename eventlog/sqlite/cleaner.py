"""Forgetting: retention drops what is old, compaction what a later record replaces.

All of it in slices, so that no commit waits long. Nothing is kept at hand for it when
records are written: compaction reads the new part of a partition for its keys, then
drops what they replace from the whole of it.
"""

import sqlite3
from collections.abc import Callable, Iterator
from typing import NamedTuple

from .schema import OFFSET_BITS, OFFSET_MASK
from .session import Session
from .times import position_at

# A slice ends at so many records dropped, or bytes, or records looked at.
_DROP_RECORDS = 250
_DROP_BYTES = 1_048_576
_LOOK_RECORDS = 1_000
# How many keys are held in memory; the rest of the new part waits for the next pass.
_MAX_KEYS = 100_000

Allowed = Callable[[sqlite3.Connection], None]


class Part(NamedTuple):
    """A partition and how it forgets; offsets as in the table of partitions."""

    id: int
    compact: bool
    retention_ms: int | None
    tombstones_ms: int
    oldest: int
    next: int
    cleaned: int
    kept: int
    tombstones_due: int | None


class Survey(NamedTuple):
    """What one look at a stretch of a partition decided; the look ended at ``after``."""

    after: int
    doomed: list[tuple[int, int]]
    kept: int
    tombstones_due: int | None


def clean(session: Session, allowed: Allowed) -> Iterator[None]:
    """Forget all that is due; yields after each slice.

    ``allowed`` is called in every transaction that drops something, and raises if this
    is not the one to do it.
    """
    for part in _parts(session):
        if part.retention_ms is not None:
            yield from _expire(session, part, allowed)
    for part in _parts(session):
        if part.compact and _is_due(session, part):
            yield from _compact(session, part, allowed)


def _parts(session: Session) -> list[Part]:
    with session.reading() as db:
        rows = db.execute(
            "SELECT p.id, compact, retention_ms, tombstones_ms, oldest, next, cleaned,"
            " kept, tombstones_due FROM partitions p JOIN topics t ON t.id = p.topic"
            " WHERE compact OR retention_ms IS NOT NULL"
        )
        return [Part(*row) for row in rows]


def _is_due(session: Session, part: Part) -> bool:
    due = part.tombstones_due
    if due is not None and due <= session.config.now_ms():
        return True
    new = part.next - part.cleaned
    return new > 0 and new >= max(session.config.dirty_min, part.kept // 4)


def _expire(session: Session, part: Part, allowed: Allowed) -> Iterator[None]:
    assert part.retention_ms is not None, "the caller looked"  # noqa: S101
    cutoff_ms = session.config.now_ms() - part.retention_ms
    with session.reading() as db:
        until = position_at(db, part.id, time_ms=cutoff_ms)
    base = part.id << OFFSET_BITS
    oldest = part.oldest
    while oldest < until:
        with session.writing() as db:
            allowed(db)
            after = _end_of_drop(db, base + oldest, base + until)
            db.execute(
                "DELETE FROM records WHERE id >= ? AND id < ?", (base + oldest, after)
            )
            oldest = after - base
            db.execute(
                "UPDATE partitions SET oldest = ?, cleaned = max(cleaned, ?)"
                " WHERE id = ?",
                (oldest, oldest, part.id),
            )
            session.config.on_step("slice-written")
        yield


def _end_of_drop(db: sqlite3.Connection, low: int, high: int) -> int:
    """Return the id before which a slice of what stands from ``low`` ends."""
    rows = db.execute(
        "SELECT id, ifnull(length(value), 0) FROM records"
        " WHERE id >= ? AND id < ? ORDER BY id LIMIT ?",
        (low, high, _DROP_RECORDS),
    ).fetchall()
    (cut, *_) = _cuts(rows)
    return rows[cut - 1][0] + 1 if rows and cut < len(rows) else _after(rows, high)


def _after(rows: list[tuple[int, int]], high: int) -> int:
    return rows[-1][0] + 1 if len(rows) == _DROP_RECORDS else high


def _cuts(sizes: list[tuple[int, int]]) -> list[int]:
    """Return where to cut records of these ids and sizes into slices; the end is last."""
    cuts: list[int] = []
    first, total_bytes = 0, 0
    for place, (_, size_bytes) in enumerate(sizes):
        full = place - first >= _DROP_RECORDS or total_bytes >= _DROP_BYTES
        if full:
            cuts.append(place)
            first, total_bytes = place, 0
        total_bytes += size_bytes
    return [*cuts, len(sizes)]


def _compact(session: Session, part: Part, allowed: Allowed) -> Iterator[None]:
    newest: dict[bytes, int] = {}
    cleaned = part.cleaned
    while cleaned < part.next and len(newest) < _MAX_KEYS:
        cleaned = _learn(session, part, cleaned, newest)
        yield
    at, kept, due = part.oldest, 0, None
    while at < cleaned:
        survey = _survey(session, part, at, cleaned, newest)
        yield from _drop(session, survey.doomed, allowed)
        at, kept = survey.after, kept + survey.kept
        due = _earlier(due, survey.tombstones_due)
        yield
    with session.writing() as db:
        allowed(db)
        db.execute(
            "UPDATE partitions SET cleaned = ?, kept = ?, tombstones_due = ?"
            " WHERE id = ?",
            (cleaned, kept, due, part.id),
        )
        session.config.on_step("compaction-written")


def _learn(session: Session, part: Part, start: int, newest: dict[bytes, int]) -> int:
    """Note the newest id of each key in a stretch; return the offset after it."""
    base = part.id << OFFSET_BITS
    with session.reading() as db:
        rows = db.execute(
            "SELECT key, id FROM records WHERE id >= ? AND id < ? ORDER BY id LIMIT ?",
            (base + start, base + part.next, _LOOK_RECORDS),
        ).fetchall()
    newest.update(rows)
    return (rows[-1][1] & OFFSET_MASK) + 1 if len(rows) == _LOOK_RECORDS else part.next


def _survey(
    session: Session, part: Part, start: int, end: int, newest: dict[bytes, int]
) -> Survey:
    base = part.id << OFFSET_BITS
    with session.reading() as db:
        rows = db.execute(
            "SELECT id, key, length(value), time FROM records"
            " WHERE id >= ? AND id < ? ORDER BY id LIMIT ?",
            (base + start, base + end, _LOOK_RECORDS),
        ).fetchall()
    after = (rows[-1][0] & OFFSET_MASK) + 1 if len(rows) == _LOOK_RECORDS else end
    now_ms = session.config.now_ms()
    doomed: list[tuple[int, int]] = []
    due: int | None = None
    for record_id, key, size_bytes, time_ms in rows:
        if key is None:
            continue  # it replaces nothing and nothing replaces it
        gone_ms = time_ms + part.tombstones_ms if size_bytes is None else None
        replaced = newest.get(key, record_id) > record_id
        if replaced or (gone_ms is not None and gone_ms <= now_ms):
            doomed.append((record_id, size_bytes or 0))
        else:
            due = _earlier(due, gone_ms)
    return Survey(after, doomed, len(rows) - len(doomed), due)


def _drop(
    session: Session, doomed: list[tuple[int, int]], allowed: Allowed
) -> Iterator[None]:
    """Drop records, the oldest first: a tombstone never goes before what it covers."""
    first = 0
    for cut in _cuts(doomed):
        if cut == first:
            continue
        with session.writing() as db:
            allowed(db)
            db.executemany(
                "DELETE FROM records WHERE id = ?",
                [(record_id,) for record_id, _ in doomed[first:cut]],
            )
            session.config.on_step("slice-written")
        first = cut
        yield


def _earlier(one: int | None, other: int | None) -> int | None:
    times = [time_ms for time_ms in (one, other) if time_ms is not None]
    return min(times, default=None)
