"""What SQLite says, as the reaction it wants."""

import sqlite3

import pytest

from eventlog.port import LogCorrupt, LogError, LogFull, LogUnavailable
from eventlog.sqlite.errors import translated


def told(code: int) -> sqlite3.Error:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("code", "kind", "said"),
    [
        (sqlite3.SQLITE_FULL, LogFull, "no space is left for the log at here"),
        (sqlite3.SQLITE_IOERR_WRITE, LogFull, "it seems: disk I/O error (a quota"),
        (sqlite3.SQLITE_IOERR_SHMSIZE, LogFull, "a limit of file size"),
        (sqlite3.SQLITE_IOERR_READ, LogUnavailable, "disk I/O error"),
        (sqlite3.SQLITE_IOERR_FSYNC, LogUnavailable, "disk I/O error"),
        (sqlite3.SQLITE_BUSY_RECOVERY, LogUnavailable, "another process"),
        (sqlite3.SQLITE_NOTADB, LogCorrupt, "cannot be used"),
    ],
    ids=["full", "write", "shared", "read", "sync", "busy", "no database"],
)
def test_each_failure_has_its_reaction(
    code: int, kind: type[LogError], said: str
) -> None:
    error = translated(told(code), where="here")
    assert type(error) is kind
    assert said in str(error)
