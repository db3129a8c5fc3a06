"""Who keeps the file locked, so that an operator need not guess."""

import os
from collections.abc import Iterator
from pathlib import Path

from eventlog.port import LogUnavailable

from .config import SqliteConfig

_LOCKS, _PROCESSES = Path("/proc/locks"), Path("/proc")
# Where SQLite's locks are: the writer's byte in the "-shm" file, and all of those of a
# connection that keeps everybody out in the file itself, from its pending byte on.
_WRITER_BYTE, _PENDING_BYTE = 120, 0x40000000


def locked(config: SqliteConfig) -> LogUnavailable:
    """Return the error of a file that others kept locked for as long as we wait."""
    who = holder_of(config.path) or "another process"
    why = (
        f"{who} has kept {config.path} locked for {config.busy_s:g} s; stop it, or let it "
        "finish, and the log goes on by itself"
    )
    return LogUnavailable(config.where, why=why)


def holder_of(path: Path) -> str | None:
    """Name the other process that may write the database at ``path``; best effort."""
    writing = {(_place(Path(f"{path}-shm")), _WRITER_BYTE), (_place(path), None)}
    try:
        lines = _LOCKS.read_text().splitlines()
    except OSError:  # no such file here, or it is kept from us
        return None
    for pid, place, first in _write_locks(lines):
        whole = None if first >= _PENDING_BYTE else first
        if (place, whole) in writing and pid != os.getpid():
            return f"another process, {pid} ({_name(pid)}),"
    return None


def _place(path: Path) -> str | None:
    """Return a file as the kernel's list of locks names it."""
    try:
        found = path.stat()
    except OSError:
        return None
    major, minor = os.major(found.st_dev), os.minor(found.st_dev)
    return f"{major:02x}:{minor:02x}:{found.st_ino}"


def _write_locks(lines: list[str]) -> Iterator[tuple[int, str, int]]:
    """Yield process, file and first byte of each write lock."""
    for line in lines:
        fields = line.split()
        if fields[1::2][:2] == ["POSIX", "WRITE"]:
            yield int(fields[4]), fields[5], int(fields[6])


def _name(pid: int) -> str:
    try:
        return (_PROCESSES / f"{pid}" / "comm").read_text().strip()
    except OSError:  # it has just ended, or is in another container
        return "?"
