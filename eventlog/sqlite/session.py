"""One connection to the file and the transactions on it; used by one thread."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from weakref import WeakValueDictionary

from eventlog.port import LogCorrupt, LogUnavailable

from .config import SqliteConfig
from .errors import border, is_busy
from .holder import locked
from .schema import connect, transaction, tries

# The writers of one process take turns here. SQLite's own waiting sleeps and tries
# again, which is right between processes and slow between threads.
_turns: WeakValueDictionary[str, Lock] = WeakValueDictionary()
_turns_lock = Lock()


class Session:
    """A connection; all its errors are the port's."""

    def __init__(self, config: SqliteConfig) -> None:
        self.config = config
        with border(config.where):
            self._connection = connect(config)
        self._identity = self._file_identity()
        self._turn = _turn_for(os.path.realpath(config.path))

    def close(self) -> None:
        """Close the connection; the last one to close tidies the file."""
        self._connection.close()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Give one consistent view of what is committed."""
        self._check_file()
        with border(self.config.where):
            self._connection.execute("BEGIN")
            with transaction(self._connection):
                # The view begins here: only this can meet a file being recovered.
                self._insist("SELECT 1 FROM sqlite_schema LIMIT 1")
                yield self._connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Commit what the body writes, or nothing of it if it raises."""
        self._check_file()
        where = self.config.where
        if not self._turn.acquire(timeout=self.config.busy_s):
            raise LogUnavailable(where, why="this process is writing for too long")
        try:
            with border(where):
                self._insist("BEGIN IMMEDIATE")
                with transaction(self._connection):
                    yield self._connection
        finally:
            self._turn.release()

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

    def _check_file(self) -> None:
        if self._file_identity() != self._identity:
            why = (
                "the log file is gone, it was removed or replaced while it was open; stop "
                "all services, put it back or choose another, and start them again"
            )
            raise LogCorrupt(self.config.where, why=why)

    def _file_identity(self) -> tuple[int, int] | None:
        try:
            found = self.config.path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino


def _turn_for(path: str) -> Lock:
    with _turns_lock:
        turn = _turns.get(path)
        if turn is None:
            turn = _turns[path] = Lock()
        return turn
