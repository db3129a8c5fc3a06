"""One connection to the file and the transactions on it; used by one thread."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import TypeAlias
from weakref import WeakValueDictionary

from eventlog.port import LogCorrupt, LogUnavailable

from .config import SqliteConfig
from .errors import border, is_busy
from .holder import locked
from .schema import connect, transaction, tries

# Device and number of a file; ``None`` for none.
_Identity: TypeAlias = tuple[int, int] | None
_FILE_GONE = (
    "the log file is gone, it was removed or replaced while it was open; stop all "
    "services, put it back or choose another, and start them again"
)
_LOST_BESIDE = (
    "the file beside it that ends in -wal, or -shm, was removed or replaced while the log "
    "was open, and with it what was written last; stop all services, and start them again"
)


class _OpenFiles:
    """The files of one log, shared by all sessions of this process that have it open."""

    def __init__(self, path: str) -> None:
        # The log, and the files beside it that SQLite keeps while anybody is connected.
        self._paths = [Path(f"{path}{ending}") for ending in ("", "-wal", "-shm")]
        self._identities: list[_Identity] | None = None
        self._sessions = 0
        # Held while a session opens or closes, so that no file goes in between.
        self._changing = Lock()
        # The writers of one process take turns here. SQLite's own waiting sleeps and
        # tries again, which is right between processes and slow between threads.
        self.turn = Lock()

    @contextmanager
    def opening(self, where: str) -> Iterator[None]:
        """Open a session in the body: with a first reading, which opens all the files."""
        with self._changing:
            if not self._sessions:
                self._identities = None
            self.check(where)
            yield
            self._sessions += 1

    @contextmanager
    def closing(self) -> Iterator[None]:
        """Close a session in the body; the last one of all may remove files."""
        with self._changing:
            try:
                yield
            finally:
                self._sessions -= 1

    def remember(self) -> None:
        """Remember which files the paths name, unless another session has."""
        if self._identities is None:
            self._identities = self._found()

    def check(self, where: str) -> None:
        """Raise ``LogCorrupt`` if the paths name other files than when first opened.

        To go on in files that were removed would write what nobody else reads, and spoil
        the log for those who opened new ones. A session that opens after the files were
        removed is refused as well: the others of its process still have the old ones.
        """
        if self._identities is None or self._identities == self._found():
            return
        main, *_ = self._paths
        why = _FILE_GONE if _identity(main) != self._identities[0] else _LOST_BESIDE
        raise LogCorrupt(where, why=why)

    def _found(self) -> list[_Identity]:
        return [_identity(path) for path in self._paths]


# By path, as long as a session refers to it.
_open_files: WeakValueDictionary[str, _OpenFiles] = WeakValueDictionary()
_open_files_lock = Lock()


class Session:
    """A connection; all its errors are the port's."""

    def __init__(self, config: SqliteConfig) -> None:
        self.config = config
        self._files = _files_at(os.path.realpath(config.path))
        with self._files.opening(config.where):
            with border(config.where):
                self._connection = connect(config)
            try:
                # The first reading opens the files beside it.
                with self.reading():
                    self._files.remember()
            except BaseException:
                self._connection.close()
                raise

    def close(self) -> None:
        """Close the connection; the last one to close tidies the file."""
        with self._files.closing():
            self._connection.close()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Give one consistent view of what is committed."""
        self._files.check(self.config.where)
        with border(self.config.where):
            self._connection.execute("BEGIN")
            with transaction(self._connection):
                # The view begins here: only this can meet a file being recovered.
                self._insist("SELECT 1 FROM sqlite_schema LIMIT 1")
                yield self._connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Commit what the body writes, or nothing of it if it raises."""
        self._files.check(self.config.where)
        where = self.config.where
        if not self._files.turn.acquire(timeout=self.config.busy_s):
            raise LogUnavailable(where, why="this process is writing for too long")
        try:
            with border(where):
                self._insist("BEGIN IMMEDIATE")
                with transaction(self._connection):
                    yield self._connection
        finally:
            self._files.turn.release()

    def _insist(self, statement: str) -> None:
        # A try of our own each millisecond: SQLite waits longer from try to try, and a
        # busy neighbour would win again and again.
        for left in reversed(range(tries(self.config))):
            try:
                self._connection.execute(statement)
                return
            except sqlite3.OperationalError as error:
                if not is_busy(error):
                    raise
                if not left:
                    raise locked(self.config) from error


def _identity(path: Path) -> _Identity:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _files_at(path: str) -> _OpenFiles:
    with _open_files_lock:
        files = _open_files.get(path)
        if files is None:
            files = _open_files[path] = _OpenFiles(path)
        return files
