"""The border: no exception of the driver leaves the adapter."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from eventlog.port import LogCorrupt, LogError, LogFull, LogUnavailable

from .values import DamagedValue

_CORRUPT = frozenset(
    {
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_FORMAT,
        sqlite3.SQLITE_SCHEMA,
        sqlite3.SQLITE_ERROR,  # a table that should be there is not
        sqlite3.SQLITE_CONSTRAINT,
        sqlite3.SQLITE_MISMATCH,
    }
)

# Only a full disk is told as such: a quota or a limit of file size is an I/O error.
_CANNOT_GROW = frozenset({sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE})


def primary_code(error: sqlite3.Error) -> int:
    """Return the primary result code; 0 where the driver itself complains."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def is_busy(error: sqlite3.Error) -> bool:
    """Tell whether another connection is in the way."""
    return primary_code(error) in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def translated(error: sqlite3.Error, *, where: str) -> LogError:
    """Return what callers are to see instead of ``error``."""
    code = primary_code(error)
    if not code and "decode to UTF-8" in str(error):
        return LogCorrupt(where, why=f"it holds text of somebody else: {error}")
    if code == sqlite3.SQLITE_FULL:
        return LogFull(where)
    if getattr(error, "sqlite_errorcode", 0) in _CANNOT_GROW:
        return LogFull(
            where, why=f"{error} (a quota, a limit of file size, a bad disk?)"
        )
    if code in _CORRUPT:
        return LogCorrupt(where, why=str(error))
    if is_busy(error):
        return LogUnavailable(where, why="another process is writing for too long")
    return LogUnavailable(where, why=str(error))


@contextmanager
def border(where: str) -> Iterator[None]:
    """Let errors of the log out, not those of the driver."""
    try:
        yield
    except sqlite3.Error as error:
        raise translated(error, where=where) from error
    except DamagedValue as damaged:
        raise LogCorrupt(where, why=f"{damaged.what} cannot be read") from None
