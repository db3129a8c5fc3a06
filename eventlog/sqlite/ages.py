"""How old a record is, as retention and compaction count it.

The age of a record is the sum of the gaps between the append times of those that follow it
in its partition, and no gap counts for more than an hour. So it depends on the log alone,
and not on what any clock says now: a clock that jumps by ten days ages everything by an
hour, a machine that was off for a month by another, and nothing is deleted that an operator
might still want. A gap counts with its sign: a jump forth that is taken back ages nothing.

To sum gaps up again at each look would mean to read the whole log. Instead each partition
has an *age clock*, which shows at each record the append time less what jumps added to it.
While the clock is well that difference, the *shift*, stays what it is; it changes at gaps
above an hour alone, and those are what is noted. So the age of a record is the difference
between two readings, and what is new has to be measured once.
"""

import sqlite3
from bisect import bisect_right
from itertools import chain
from typing import NamedTuple

from .schema import AGE_TABLES, OFFSET_BITS, OFFSET_MASK
from .values import AGES, APPEND_TIME, require_counts, require_numbers

# No gap between two records counts for more.
LONGEST_GAP_MS = 3_600_000
# How many records are looked through at a time.
_LOOK_RECORDS = 5_000


class Jump(NamedTuple):
    """The shift of the records from ``offset`` on, up to the next jump."""

    offset: int
    shift_ms: int


class AgeClock(NamedTuple):
    """The age clock of a partition, for the records below offset ``measured``.

    ``last_ms`` is the append time of the last of them. ``jumps`` are in order; the first is
    the beginning. Without any nothing is measured.
    """

    measured: int
    last_ms: int
    jumps: tuple[Jump, ...]

    @property
    def now_ms(self) -> int:
        """The reading at the last record that is measured."""
        return self.last_ms - self.jumps[-1].shift_ms if self.jumps else self.last_ms

    def at(self, offset: int, time_ms: int) -> int:
        """Return the reading at a record that is measured."""
        if not self.jumps:
            return time_ms
        place = bisect_right(self.jumps, offset, key=lambda jump: jump.offset)
        return time_ms - self.jumps[max(place - 1, 0)].shift_ms


def load(db: sqlite3.Connection, partition_id: int) -> AgeClock:
    """Return the age clock of a partition as far as it is measured."""
    if not _are_there(db):
        return AgeClock(0, 0, ())
    row = db.execute(
        "SELECT measured, last_time FROM age_clocks WHERE partition = ?",
        (partition_id,),
    ).fetchone()
    jumps = db.execute(
        'SELECT "offset", shift FROM age_jumps WHERE partition = ? ORDER BY "offset"',
        (partition_id,),
    )
    measured, last_ms = row or (0, 0)
    found = tuple(Jump(*jump) for jump in jumps)
    require_numbers((measured, last_ms, *chain.from_iterable(found)), AGES)
    return AgeClock(measured, last_ms, found)


def _are_there(db: sqlite3.Connection) -> bool:
    """Tell whether the tables exist; an older program made the log without them."""
    sql = "SELECT 1 FROM sqlite_schema WHERE name = 'age_clocks'"
    return db.execute(sql).fetchone() is not None


class Stretch(NamedTuple):
    """Measurements of records not measured before: the clock after them, new jumps."""

    measured: int
    last_ms: int
    jumps: list[Jump]


def look(
    db: sqlite3.Connection, partition_id: int, clock: AgeClock, *, end: int
) -> Stretch:
    """Look through some of the records after those measured, at most to offset ``end``."""
    base = partition_id << OFFSET_BITS
    rows = db.execute(
        "SELECT id, time FROM records WHERE id >= ? AND id < ? ORDER BY id LIMIT ?",
        (base + clock.measured, base + end, _LOOK_RECORDS),
    ).fetchall()
    if not rows:
        # Another program, which knows no age clock, has deleted them.
        return Stretch(end, clock.last_ms, [])
    require_counts((time_ms for _, time_ms in rows), APPEND_TIME)
    jumps = [] if clock.jumps else [Jump(0, 0)]
    shift_ms = clock.jumps[-1].shift_ms if clock.jumps else 0
    before_ms = clock.last_ms if clock.jumps else rows[0][1]
    for record_id, time_ms in rows:
        gap_ms = time_ms - before_ms
        if not -LONGEST_GAP_MS <= gap_ms <= LONGEST_GAP_MS:
            shift_ms += gap_ms - _counted(gap_ms)
            jumps.append(Jump(record_id & OFFSET_MASK, shift_ms))
        before_ms = time_ms
    after = (rows[-1][0] & OFFSET_MASK) + 1
    return Stretch(after if len(rows) == _LOOK_RECORDS else end, before_ms, jumps)


def note(db: sqlite3.Connection, partition_id: int, stretch: Stretch) -> None:
    """Write down what was found."""
    for table in AGE_TABLES:
        db.execute(table)
    db.executemany(
        "INSERT OR REPLACE INTO age_jumps VALUES (?, ?, ?)",
        [(partition_id, *jump) for jump in stretch.jumps],
    )
    db.execute(
        "INSERT OR REPLACE INTO age_clocks VALUES (?, ?, ?)",
        (partition_id, stretch.measured, stretch.last_ms),
    )


def _counted(gap_ms: int) -> int:
    return max(-LONGEST_GAP_MS, min(gap_ms, LONGEST_GAP_MS))


def forget_jumps(db: sqlite3.Connection, partition_id: int, *, oldest: int) -> None:
    """Drop the jumps that no record from ``oldest`` on needs."""
    db.execute(
        'DELETE FROM age_jumps WHERE partition = ?1 AND "offset" < (SELECT'
        ' max("offset") FROM age_jumps WHERE partition = ?1 AND "offset" <= ?2)',
        (partition_id, oldest),
    )


def age_of(
    db: sqlite3.Connection, partition_id: int, position: int, *, end: int
) -> int | None:
    """Return how old the first record at ``position`` or after it is; ``None``: no record.

    What is not measured yet is looked through.
    """
    base = partition_id << OFFSET_BITS
    first = db.execute(
        "SELECT id, time FROM records WHERE id >= ? AND id < ? ORDER BY id LIMIT 1",
        (base + position, base + end),
    ).fetchone()
    if first is None:
        return None
    first_id, first_ms = first
    require_counts((first_ms,), APPEND_TIME)
    clock = load(db, partition_id)
    offset = first_id & OFFSET_MASK
    if offset >= clock.measured:
        return _since(db, first_id, base + end, before_ms=first_ms)
    counted_ms = clock.now_ms - clock.at(offset, first_ms)
    low = base + clock.measured
    return counted_ms + _since(db, low, base + end, before_ms=clock.last_ms)


def _since(db: sqlite3.Connection, low: int, high: int, *, before_ms: int) -> int:
    """Return by how much the records from ``low`` to ``high`` age one of ``before_ms``."""
    age_ms = 0
    for (time_ms,) in db.execute(
        "SELECT time FROM records WHERE id >= ? AND id < ? ORDER BY id", (low, high)
    ):
        require_counts((time_ms,), APPEND_TIME)
        age_ms += _counted(time_ms - before_ms)
        before_ms = time_ms
    return age_ms
