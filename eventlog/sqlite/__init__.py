"""The log in one SQLite file; the only home of sqlite3."""

from .config import SqliteConfig
from .log import open_sqlite
from .restoring import LogInUse, copy_checked, put_in_place

__all__ = ["LogInUse", "SqliteConfig", "copy_checked", "open_sqlite", "put_in_place"]
