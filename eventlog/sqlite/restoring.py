"""An older copy of a file put in the place of the log."""

import os
import socket
import sqlite3
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

from eventlog.port import LogCorrupt

from .config import SqliteConfig
from .errors import border, is_busy
from .schema import APPLICATION_ID, VERSION

_BESIDE = ("-wal", "-shm")


class LogInUse(Exception):
    """Services have the log open."""


def copy_checked(source: Path, target: Path, *, in_use: bool) -> None:
    """Write what ``source`` holds, its ``-wal`` included, to ``target``; check that.

    ``in_use`` says that services may have ``source`` open, or may open it meanwhile. Raises
    ``LogCorrupt`` for what is damaged, no log, or of a newer version.
    """
    where = f"sqlite://{source}"
    # SQLite has the files beside it where a link leads to.
    path = source.resolve()
    if in_use:
        # With its locks; and the last connection to close removes the files beside it,
        # which one that may only read would leave.
        mode = "mode=rw"
    else:
        # A copy must not be changed, and no file may be left beside it. Nobody has it
        # open: without a `-wal` SQLite needs no file to read it.
        mode = "mode=ro" if Path(f"{path}-wal").exists() else "immutable=1"
    with (
        border(where),
        closing(sqlite3.connect(f"{path.as_uri()}?{mode}", uri=True)) as old,
        closing(sqlite3.connect(target, isolation_level=None)) as new,
    ):
        old.backup(new)
        new.execute("PRAGMA journal_mode = DELETE")
        _check(new, where)


def _check(db: sqlite3.Connection, where: str) -> None:
    (owner,) = db.execute("PRAGMA application_id").fetchone()
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if owner != APPLICATION_ID:
        raise LogCorrupt(where, why="it is no log of this program")
    if version > VERSION:
        why = f"its schema is version {version}, this program knows up to {VERSION}"
        raise LogCorrupt(where, why=why)
    (said,) = db.execute("PRAGMA integrity_check(1)").fetchone()
    if said != "ok":
        raise LogCorrupt(where, why=said)


def put_in_place(new: Path, config: SqliteConfig, *, kept: Path) -> None:
    """Let the file ``new`` be the log at ``config.path``; keep what was there.

    Where the path is a symbolic link, the file that it leads to is replaced; ``new`` and
    ``kept`` are beside that. The old file goes to ``kept`` with what SQLite had beside it.
    Nobody ever finds no file at the path. Raises ``LogInUse`` while somebody has the log open.
    """
    path = config.path.resolve()
    if path.exists():
        for one in {config.path, path}:
            _close_up(replace(config, path=one))
        os.link(path, kept)
        for ending in _BESIDE:
            with suppress(FileNotFoundError):
                Path(f"{path}{ending}").rename(f"{kept}{ending}")
    new.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _close_up(config: SqliteConfig) -> None:
    """Write what stands beside the file into it; raise ``LogInUse`` if others have it open.

    A file that is damaged is left as it is.
    """
    if any(_is_heard(path) for path in config.bells.glob("*")):
        raise LogInUse
    try:
        with closing(sqlite3.connect(config.path, timeout=0)) as db:
            # Refused while anybody else is connected.
            db.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.DatabaseError as error:
        if is_busy(error):
            raise LogInUse from error


def _is_heard(path: Path) -> bool:
    """Tell whether a process listens at the socket by which it is woken."""
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as asking:
        try:
            asking.connect(f"{path}")
        except OSError:
            return False
    return True
