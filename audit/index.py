"""Where to look: an SQLite file beside the log that names offsets, and no content.

It may be deleted at any time. Whoever uses it reads the log where it points and compares.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from itertools import chain
from pathlib import Path

from audit.core.postings import packed, unpacked
from audit.core.waypoints import Era, Noted, Way
from audit.errors import IndexUnusable
from schemas.rejects import MAX_KEY_BYTES
from schemas.topics import JOURNAL, RAW

_VERSION = 2
# A block is not added to any more when it has so many offsets.
_PER_BLOCK = 512
_WAIT_S = 30.0
# Where the first commits begin there is no way to say it but a number before all.
_NONE = -1
_COLUMNS = {topic: topic.removesuffix(".raw") for topic in RAW}
_TABLES = f"""
CREATE TABLE about (version INTEGER, log TEXT);
CREATE TABLE progress (
    topic TEXT, shard INTEGER, next INTEGER, note TEXT, PRIMARY KEY (topic, shard));
CREATE TABLE blocks (
    topic TEXT, shard INTEGER, name BLOB, first INTEGER, last INTEGER, count INTEGER,
    offsets BLOB, PRIMARY KEY (topic, shard, name, first)) WITHOUT ROWID;
CREATE TABLE waypoints (
    shard INTEGER, number INTEGER, journal INTEGER,
    {", ".join(f"{name} INTEGER" for name in _COLUMNS.values())},
    PRIMARY KEY (shard, number)) WITHOUT ROWID;
CREATE TABLE eras (
    shard INTEGER, number INTEGER, places TEXT,
    PRIMARY KEY (shard, number)) WITHOUT ROWID;
{"".join(f"CREATE INDEX by_{name} ON waypoints (shard, {name}, number);" for name in _COLUMNS.values())}
"""


class Moved(Exception):
    """Another process has extended the index meanwhile."""


class Index:
    """Posting lists by key, and through the journals waypoints and eras."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def next_of(self, topic: str, shard: int) -> tuple[int, str]:
        """Return the next offset to index of a partition, and what was noted there."""
        row = self._db.execute(
            "SELECT next, note FROM progress WHERE topic = ? AND shard = ?",
            (topic, shard),
        ).fetchone()
        return (int(row[0]), str(row[1])) if row else (0, "")

    def add(
        self,
        topic: str,
        shard: int,
        postings: Mapping[bytes, Sequence[int]],
        *,
        before: int,
        after: int,
    ) -> None:
        """Take in the offsets of each key in a stretch of a partition.

        ``before`` is what ``next_of`` said, ``after`` what it will say. Raises ``Moved``.
        """
        with self._moving(topic, shard, before=before, after=after):
            for name, offsets in postings.items():
                if offsets and len(name) <= MAX_KEY_BYTES:
                    self._add(topic, shard, name, offsets)

    def add_commits(
        self, shard: int, noted: Noted, *, before: int, after: int, way: Way
    ) -> None:
        """Take in what was noted of a stretch of a journal; raises ``Moved``.

        ``way`` is what follows it on, see ``way_of``.
        """
        marks = ", ".join("?" * (3 + len(RAW)))
        with self._moving(
            JOURNAL, shard, before=before, after=after, note=_note_of(way)
        ):
            self._db.executemany(
                f"INSERT OR REPLACE INTO waypoints VALUES ({marks})",  # noqa: S608 - question marks
                [
                    (
                        shard,
                        point.commit,
                        point.offset,
                        *(point.starts.get(each, _NONE) for each in RAW),
                    )
                    for point in noted.waypoints
                ],
            )
            self._db.executemany(
                "INSERT OR REPLACE INTO eras VALUES (?, ?, ?)",
                [
                    (shard, era.commit, json.dumps([era.ends, era.starts]))
                    for era in noted.eras
                ],
            )

    def way_of(self, shard: int) -> Way:
        """Return what follows a journal on from where it is indexed to."""
        ends, rules = json.loads(self.next_of(JOURNAL, shard)[1] or '[{}, ""]')
        return Way(ends, rules)

    def eras(self, shard: int) -> list[Era]:
        """Return all eras of a shard, in their order."""
        rows = self._db.execute(
            "SELECT number, places FROM eras WHERE shard = ? ORDER BY number",
            (shard,),
        )
        return [Era(number, *json.loads(places)) for number, places in rows]

    def offsets(
        self, topic: str, shard: int, name: bytes, *, start: int = 0
    ) -> list[int]:
        """Return the offsets of a key from ``start`` on, growing."""
        rows = self._db.execute(
            "SELECT first, offsets FROM blocks WHERE topic = ? AND shard = ?"
            " AND name = ? AND last >= ? ORDER BY first",
            (topic, shard, name, start),
        )
        found = chain.from_iterable(
            unpacked(offsets, after=first - 1) for first, offsets in rows
        )
        return [offset for offset in found if offset >= start]

    def before_raw(self, shard: int, topic: str, offset: int) -> int:
        """Return the offset in the journal from which to look for who read a record."""
        return self._journal(shard, _COLUMNS[topic], offset)

    def before_commit(self, shard: int, commit: int) -> int:
        """Return the offset in the journal from which to look for a commit."""
        return self._journal(shard, "number", commit)

    def _journal(self, shard: int, column: str, value: int) -> int:
        row = self._db.execute(
            f"SELECT journal FROM waypoints WHERE shard = ? AND {column} <= ?"  # noqa: S608 - our own names
            f" ORDER BY {column} DESC, number DESC LIMIT 1",
            (shard, value),
        ).fetchone()
        return int(row[0]) if row else 0

    @contextmanager
    def _moving(
        self, topic: str, shard: int, *, before: int, after: int, note: str = ""
    ) -> Iterator[None]:
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            if self.next_of(topic, shard)[0] != before:
                raise Moved
            yield
            self._db.execute(
                "INSERT OR REPLACE INTO progress VALUES (?, ?, ?, ?)",
                (topic, shard, after, note),
            )

    def _add(self, topic: str, shard: int, name: bytes, offsets: Sequence[int]) -> None:
        where = (topic, shard, name)
        row = self._db.execute(
            "SELECT first, last, count, offsets FROM blocks WHERE topic = ? AND shard = ?"
            " AND name = ? ORDER BY first DESC LIMIT 1",
            where,
        ).fetchone()
        first, last, count, held = row or (offsets[0], offsets[0] - 1, 0, b"")
        if count >= _PER_BLOCK:
            first, last, count, held = offsets[0], offsets[0] - 1, 0, b""
        more = held + packed(offsets, after=last)
        self._db.execute(
            "INSERT OR REPLACE INTO blocks VALUES (?, ?, ?, ?, ?, ?, ?)",
            (*where, first, offsets[-1], count + len(offsets), more),
        )


@contextmanager
def open_index(
    path: Path | None, *, log_id: str, anew: bool = False
) -> Iterator[Index]:
    """Open the index of a log, empty where there is none or it is of another log.

    ``None`` is one that is gone when it is closed; ``anew`` begins again. Raises
    ``IndexUnusable``, also for what happens while it is open.
    """
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        if anew or not _is_of(path, log_id):
            _delete(path)
    try:
        with closing(_connected(path)) as db:
            yield _prepared(db, log_id)
    except sqlite3.Error as error:
        raise IndexUnusable(path, why=f"{error}") from error


def _connected(path: Path | None) -> sqlite3.Connection:
    return sqlite3.connect(path or ":memory:", timeout=_WAIT_S, isolation_level=None)


def _prepared(db: sqlite3.Connection, log_id: str) -> Index:
    # Whatever a power cut takes is indexed again.
    db.execute("PRAGMA synchronous = OFF")
    db.execute("PRAGMA journal_mode = WAL")
    if not _about(db):
        db.executescript(f"BEGIN IMMEDIATE;{_TABLES}COMMIT;")
        db.execute("INSERT INTO about VALUES (?, ?)", (_VERSION, log_id))
    return Index(db)


def _is_of(path: Path, log_id: str) -> bool:
    """Tell whether a file, if there is one, is an index of a log that can be used."""
    if not path.exists():
        return True
    db = sqlite3.connect(path, timeout=_WAIT_S)
    try:
        return _about(db) in {(), (_VERSION, log_id)}
    except sqlite3.DatabaseError:
        return False
    finally:
        db.close()


def _about(db: sqlite3.Connection) -> tuple[int, str] | tuple[()]:
    known = db.execute("SELECT 1 FROM sqlite_master WHERE name = 'about'").fetchone()
    row = db.execute("SELECT version, log FROM about").fetchone() if known else None
    return (int(row[0]), str(row[1])) if row else ()


def _delete(path: Path) -> None:
    for name in ("", "-wal", "-shm"):
        path.with_name(path.name + name).unlink(missing_ok=True)


def _note_of(way: Way) -> str:
    return json.dumps([way.ends, way.rules])
