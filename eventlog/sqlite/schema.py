"""The tables of the file, and making sure that they are there."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import sleep

from eventlog.port import LogCorrupt

from .config import SqliteConfig
from .errors import is_busy
from .holder import locked

VERSION = 1
APPLICATION_ID = 0x53544B46  # "STKF"

# A record's id holds its partition above its offset, so that one B-tree clusters the
# records of each partition in order, and the id costs no index.
OFFSET_BITS = 40
OFFSET_MASK = (1 << OFFSET_BITS) - 1

# What `ages` has measured of each partition: below which offset, the append time of the
# last record there, and by how much append times are ahead of the age clock from an offset
# on. A log that an older program made has not got them: that program works on with one that
# has, and whoever cleans makes them where they are missing.
AGE_TABLES = (
    """CREATE TABLE IF NOT EXISTS age_clocks (
        partition INTEGER PRIMARY KEY, measured INTEGER NOT NULL,
        last_time INTEGER NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS age_jumps (
        partition INTEGER NOT NULL, "offset" INTEGER NOT NULL, shift INTEGER NOT NULL,
        PRIMARY KEY (partition, "offset")) WITHOUT ROWID""",
)
_TABLES = (
    """CREATE TABLE topics (
        id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,
        partitions INTEGER NOT NULL, compact INTEGER NOT NULL,
        retention_ms INTEGER, tombstones_ms INTEGER NOT NULL)""",
    # "next" is the end; "log_time" the log time of the last record. Below "cleaned"
    # each key stands once, in "kept" records; "tombstones_due" is what the age clock shows
    # when the next of their tombstones may go.
    """CREATE TABLE partitions (
        id INTEGER PRIMARY KEY, topic INTEGER NOT NULL REFERENCES topics,
        number INTEGER NOT NULL, oldest INTEGER NOT NULL DEFAULT 0,
        next INTEGER NOT NULL DEFAULT 0, log_time INTEGER NOT NULL DEFAULT 0,
        cleaned INTEGER NOT NULL DEFAULT 0, kept INTEGER NOT NULL DEFAULT 0,
        tombstones_due INTEGER, UNIQUE (topic, number))""",
    # "log_time" is NULL where it equals "time": always, unless the clock stepped back.
    """CREATE TABLE records (
        id INTEGER PRIMARY KEY, time INTEGER NOT NULL, log_time INTEGER,
        key BLOB, value BLOB, headers BLOB)""",
    "CREATE TABLE fences (shard INTEGER PRIMARY KEY, epoch INTEGER NOT NULL)",
    """CREATE TABLE leases (
        grp TEXT NOT NULL, member TEXT NOT NULL, expires INTEGER NOT NULL,
        PRIMARY KEY (grp, member)) WITHOUT ROWID""",
    *AGE_TABLES,
)
# A commit that ends in a checkpoint waits for it: every 16 MB, not every 4.
_CHECKPOINT_PAGES = 4_000
# How long one try to write waits; the tries are counted by the caller.
TRY_S = 0.001


def connect(config: SqliteConfig) -> sqlite3.Connection:
    """Open the file, make it a log if it is empty; raises errors of the driver too."""
    connection = sqlite3.connect(
        config.path, timeout=TRY_S, isolation_level=None, cached_statements=64
    )
    try:
        _retrying(config, lambda: _prepare(connection, config))
    except BaseException:
        connection.close()
        raise
    return connection


def tries(config: SqliteConfig) -> int:
    """Return how often a busy file is tried before giving up."""
    return max(1, round(config.busy_s / TRY_S))


def _retrying(config: SqliteConfig, prepare: Callable[[], None]) -> None:
    # Changing the journal mode does not wait for others, whatever the time-out.
    for left in reversed(range(tries(config))):
        try:
            prepare()
            return
        except sqlite3.OperationalError as error:
            if not is_busy(error):
                raise
            if not left:
                raise locked(config) from error
            sleep(TRY_S)


def _prepare(connection: sqlite3.Connection, config: SqliteConfig) -> None:
    # In one view: another process may be making the file a log.
    connection.execute("BEGIN")
    with transaction(connection):
        version = _checked_version(connection, config)
    connection.execute("PRAGMA journal_mode = WAL")
    sync = "FULL" if config.full_sync else "NORMAL"
    connection.execute(f"PRAGMA synchronous = {sync}")
    connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
    if config.max_size_bytes is not None:
        (page_bytes,) = connection.execute("PRAGMA page_size").fetchone()
        pages = max(1, config.max_size_bytes // page_bytes)
        connection.execute(f"PRAGMA max_page_count = {pages}")
    if version == 0:
        _create(connection, config)


def _checked_version(connection: sqlite3.Connection, config: SqliteConfig) -> int:
    """Return the file's schema version: 0 of an empty file, else ours."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (owner,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if owner != APPLICATION_ID and (owner or version or tables):
        raise LogCorrupt(config.where, why="it is a database of something else")
    if version > VERSION:
        why = f"its schema is version {version}, this program knows up to {VERSION}"
        raise LogCorrupt(config.where, why=why)
    return int(version)


def _create(connection: sqlite3.Connection, config: SqliteConfig) -> None:
    connection.execute("BEGIN IMMEDIATE")
    with transaction(connection):
        if _checked_version(connection, config) == 0:
            for table in _TABLES:
                connection.execute(table)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {VERSION}")


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Commit what has begun and what the body does, or nothing of it if it raises."""
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # A full disk has ended the transaction already.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
