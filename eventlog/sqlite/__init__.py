"""The log in one SQLite file; the only home of sqlite3."""

from .config import SqliteConfig
from .log import open_sqlite

__all__ = ["SqliteConfig", "open_sqlite"]
