"""A SQLite log by its insides: a session, a clock moved by hand, what stands in it."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from eventlog.port import Entry, Partition, TopicSpec
from eventlog.sqlite import SqliteConfig, topics
from eventlog.sqlite.append import append
from eventlog.sqlite.schema import OFFSET_BITS
from eventlog.sqlite.session import Session
from eventlog.sqlite.topics import PartitionIds

HOUR_MS = 3_600_000


@dataclass
class HandClock:
    """The wall time and the time since the start, both moved by hand."""

    ms: int = 1_000_000
    ns: int = 10**15

    def now_ms(self) -> int:
        return self.ms

    def elapsed_ns(self) -> int:
        return self.ns


@dataclass
class Insides:
    """A log with one session; ``part`` names the partition that a test is about."""

    session: Session
    clock: HandClock
    part: Partition
    ids: PartitionIds = field(default_factory=PartitionIds)

    def write(self, *entries: Entry) -> None:
        """Append entries in one transaction; nothing where there are none."""
        if not entries:
            return
        part_id = self.part_id
        with self.session.writing() as db:
            append(db, part_id, entries, now_ms=self.clock.now_ms())

    def age(self, by_ms: int, *, step_ms: int = HOUR_MS) -> int:
        """Age what stands there, by records that come at most an hour apart.

        Returns how many there are; ages are counted in what the log itself has seen.
        """
        steps = 0
        while by_ms > 0:
            self.clock.ms += min(step_ms, by_ms)
            by_ms -= step_ms
            self.write(Entry(b"later", b""))
            steps += 1
        return steps

    @property
    def part_id(self) -> int:
        with self.session.reading() as db:
            return self.ids.get(db, self.part)

    def offsets(self) -> list[int]:
        """Return the offsets of the records that stand in the partition."""
        base = self.part_id << OFFSET_BITS
        with self.session.reading() as db:
            rows = db.execute(
                "SELECT id - ? FROM records WHERE id >= ? AND id < ? ORDER BY id",
                (base, base, base + (1 << OFFSET_BITS)),
            ).fetchall()
        return [offset for (offset,) in rows]

    def column(self, name: str) -> object:
        """Return a column of the partition's row."""
        part_id = self.part_id
        with self.session.reading() as db:
            (value,) = db.execute(
                f"SELECT {name} FROM partitions WHERE id = ?",  # noqa: S608 - the test's own word
                (part_id,),
            ).fetchone()
        return value


def drop_all(path: Path, at: Partition) -> None:
    """Delete all that stands in a partition, as retention might have by now."""
    session = Session(SqliteConfig(path, now_ms=int))
    with closing(session), session.writing() as db:
        part_id = PartitionIds().get(db, at)
        db.execute("DELETE FROM records WHERE id >> ? = ?", (OFFSET_BITS, part_id))
        db.execute("UPDATE partitions SET oldest = next WHERE id = ?", (part_id,))


def config_of(path: Path, clock: HandClock, **settings: Any) -> SqliteConfig:
    return replace(
        SqliteConfig(path, now_ms=clock.now_ms, elapsed_ns=clock.elapsed_ns),
        **settings,
    )


def insides_of(path: Path, spec: TopicSpec, **settings: Any) -> Insides:
    """Make a log with one topic; the test's partition is its first."""
    clock = HandClock()
    session = Session(config_of(path, clock, **settings))
    with session.writing() as db:
        topics.create(db, [spec])
    return Insides(session, clock, Partition(spec.name, 0))


def cut_back(path: Path, at: Partition, *, records: int) -> None:
    """Take the last records of a partition away, as if they had never been written."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        (part_id, end) = db.execute(
            "SELECT p.id, next FROM partitions p JOIN topics t ON t.id = p.topic"
            " WHERE t.name = ? AND p.number = ?",
            at,
        ).fetchone()
        first = (part_id << OFFSET_BITS) + end - records
        last = (part_id << OFFSET_BITS) + end
        db.execute("DELETE FROM records WHERE id >= ? AND id < ?", (first, last))
        db.execute(
            "UPDATE partitions SET next = ? WHERE id = ?", (end - records, part_id)
        )
