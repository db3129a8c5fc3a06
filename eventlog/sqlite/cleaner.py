"""Forgetting: retention drops what is old, compaction what a later record replaces.

All of it in slices, so that no commit waits long. Nothing is kept at hand for it when
records are written: how old they are is measured afterwards (see ``ages``), and compaction
reads the new part of a partition for its keys, then drops what they replace from the whole
of it. What is deleted depends on the log alone, and not on any clock.
"""

import logging
import sqlite3
from collections.abc import Callable, Generator, Iterator, Sequence
from itertools import takewhile
from typing import NamedTuple

from .ages import LONGEST_GAP_MS, AgeClock, Stretch, forget_jumps, load, look, note
from .schema import OFFSET_BITS, OFFSET_MASK
from .session import Session
from .values import APPEND_TIME, PLACE, require_counts

logger = logging.getLogger(__name__)

# A slice ends at so many records dropped, or bytes, or records looked at.
_DROP_RECORDS = 250
_DROP_BYTES = 1_048_576
_LOOK_RECORDS = 1_000
# How many keys are held in memory; the rest of the new part waits for the next pass.
_MAX_KEYS = 100_000
# Old records wait until the oldest is over its time by this share of the retention, or by
# an hour: then they go together, and what is logged of it is one line.
_LATE_SHARE = 10
_MOST_LATE_MS = LONGEST_GAP_MS

Allowed = Callable[[sqlite3.Connection], None]


class Part(NamedTuple):
    """A partition and how it forgets; offsets as in the table of partitions."""

    id: int
    topic: str
    number: int
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


def clean(session: Session, allowed: Allowed) -> Generator[None, None, None]:
    """Forget all that is due; yields after each slice.

    ``allowed`` is called in every transaction that drops something, and raises if this
    is not the one to do it.
    """
    parts = _parts(session)
    # Only measured records may go. Those that come meanwhile wait for the next round.
    yield from _measure(session, parts, allowed)
    for part in parts:
        if part.retention_ms is not None:
            yield from _expire(session, part, part.retention_ms, allowed)
    for part in _parts(session):
        clock = _clock_of(session, part)
        measured = part._replace(next=min(part.next, clock.measured))
        if part.compact and _is_due(session, measured, clock):
            yield from _compact(session, measured, clock, allowed)


def _parts(session: Session) -> list[Part]:
    with session.reading() as db:
        rows = db.execute(
            "SELECT p.id, t.name, number, compact, retention_ms, tombstones_ms, oldest,"
            " next, cleaned, kept, tombstones_due"
            " FROM partitions p JOIN topics t ON t.id = p.topic"
            " WHERE compact OR retention_ms IS NOT NULL"
        )
        parts = [Part(*row) for row in rows]
        for part in parts:
            require_counts((part.oldest, part.next, part.cleaned, part.kept), PLACE)
        return parts


def _clock_of(session: Session, part: Part) -> AgeClock:
    with session.reading() as db:
        return load(db, part.id)


def _measure(
    session: Session, parts: Sequence[Part], allowed: Allowed
) -> Iterator[None]:
    """Measure what is new in all of ``parts``: nearly always in one transaction."""
    while new := _looked(session, parts):
        with session.writing() as db:
            allowed(db)
            for part, stretch in new:
                note(db, part.id, stretch)
            session.config.on_step("ages-written")
        if all(stretch.measured >= part.next for part, stretch in new):
            return
        yield


def _looked(session: Session, parts: Sequence[Part]) -> list[tuple[Part, Stretch]]:
    """Look through what is new, some records of each; nobody who writes waits for it."""
    found: list[tuple[Part, Stretch]] = []
    for part in parts:
        with session.reading() as db:
            clock = load(db, part.id)
            if clock.measured < part.next:
                found.append((part, look(db, part.id, clock, end=part.next)))
    return found


def _is_due(session: Session, part: Part, clock: AgeClock) -> bool:
    due = part.tombstones_due
    if due is not None and due <= clock.now_ms:
        return True
    new = part.next - part.cleaned
    return new > 0 and new >= max(session.config.dirty_min, part.kept // 4)


def _expire(
    session: Session, part: Part, retention_ms: int, allowed: Allowed
) -> Iterator[None]:
    clock = _clock_of(session, part)
    cutoff_ms = clock.now_ms - retention_ms
    late_ms = min(retention_ms // _LATE_SHARE, _MOST_LATE_MS)
    with session.reading() as db:
        if not _old(clock, _front(db, part, part.oldest, 1), cutoff_ms - late_ms):
            return
    oldest = part.oldest
    try:
        for oldest in _slices(session, part, clock, cutoff_ms, allowed):  # noqa: B007 - for the log line
            yield
    finally:
        if oldest > part.oldest:
            logger.info("records expired", extra=_expired(part, oldest))


def _slices(
    session: Session, part: Part, clock: AgeClock, cutoff_ms: int, allowed: Allowed
) -> Iterator[int]:
    """Drop what is older than the cutoff; yield the oldest offset after each slice."""
    while True:
        with session.writing() as db:
            allowed(db)
            oldest = _drop_old(db, part, clock, cutoff_ms)
            if oldest == part.oldest:
                return
            session.config.on_step("slice-written")
        part = part._replace(oldest=oldest)
        yield oldest


def _expired(part: Part, oldest: int) -> dict[str, object]:
    return {
        "topic": part.topic,
        "shard": part.number,
        "first": part.oldest,
        "last": oldest - 1,
        "kept_s": (part.retention_ms or 0) // 1_000,
    }


class _Row(NamedTuple):
    """A record as it is looked at to be dropped."""

    id: int
    size_bytes: int
    time_ms: int


def _front(db: sqlite3.Connection, part: Part, oldest: int, at_most: int) -> list[_Row]:
    """Return the first records there are from ``oldest`` on."""
    base = part.id << OFFSET_BITS
    rows = db.execute(
        "SELECT id, ifnull(length(value), 0), time FROM records"
        " WHERE id >= ? AND id < ? ORDER BY id LIMIT ?",
        (base + oldest, base + part.next, at_most),
    )
    front = [_Row(*row) for row in rows]
    require_counts((row.time_ms for row in front), APPEND_TIME)
    return front


def _old(clock: AgeClock, rows: Sequence[_Row], cutoff_ms: int) -> list[_Row]:
    """Return those at the front that are older than the cutoff."""

    def is_old(row: _Row) -> bool:
        return clock.at(row.id & OFFSET_MASK, row.time_ms) < cutoff_ms

    return list(takewhile(is_old, rows))


def _drop_old(
    db: sqlite3.Connection, part: Part, clock: AgeClock, cutoff_ms: int
) -> int:
    """Drop a slice of what is old from the front; return the oldest offset after it."""
    rows = _front(db, part, part.oldest, _DROP_RECORDS)
    old = _old(clock, rows, cutoff_ms)
    (cut, *_) = _cuts([(row.id, row.size_bytes) for row in old])
    if not cut:
        return part.oldest
    # Where there are holes the oldest offset is that of the first record that stays.
    after = rows[cut].id if cut < len(rows) else rows[-1].id + 1
    oldest = after & OFFSET_MASK
    db.execute(
        "DELETE FROM records WHERE id >= ? AND id < ?",
        ((part.id << OFFSET_BITS) + part.oldest, after),
    )
    db.execute(
        "UPDATE partitions SET oldest = ?, cleaned = max(cleaned, ?) WHERE id = ?",
        (oldest, oldest, part.id),
    )
    forget_jumps(db, part.id, oldest=oldest)
    return oldest


def _cuts(sizes: Sequence[tuple[int, int]]) -> list[int]:
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


def _compact(
    session: Session, part: Part, clock: AgeClock, allowed: Allowed
) -> Iterator[None]:
    newest: dict[bytes, int] = {}
    cleaned = part.cleaned
    while cleaned < part.next and len(newest) < _MAX_KEYS:
        cleaned = _learn(session, part, cleaned, newest)
        yield
    at, kept, due = part.oldest, 0, None
    while at < cleaned:
        stretch = part._replace(oldest=at, next=cleaned)
        survey = _survey(session, stretch, clock, newest)
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
    session: Session, part: Part, clock: AgeClock, newest: dict[bytes, int]
) -> Survey:
    """Look at the first records of ``part``; ``newest`` are the newest ids of keys."""
    base, end = part.id << OFFSET_BITS, part.next
    with session.reading() as db:
        rows = db.execute(
            "SELECT id, key, length(value), time FROM records"
            " WHERE id >= ? AND id < ? ORDER BY id LIMIT ?",
            (base + part.oldest, base + end, _LOOK_RECORDS),
        ).fetchall()
        require_counts((row[3] for row in rows), APPEND_TIME)
    after = (rows[-1][0] & OFFSET_MASK) + 1 if len(rows) == _LOOK_RECORDS else end
    doomed: list[tuple[int, int]] = []
    due: int | None = None
    for record_id, key, size_bytes, time_ms in rows:
        if key is None:
            continue  # it replaces nothing and nothing replaces it
        gone_ms = None
        if size_bytes is None:
            gone_ms = clock.at(record_id & OFFSET_MASK, time_ms) + part.tombstones_ms
        replaced = newest.get(key, record_id) > record_id
        if replaced or (gone_ms is not None and gone_ms <= clock.now_ms):
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
