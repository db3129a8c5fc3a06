"""How much a log in a file holds, and how much room there is for it."""

import shutil
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Room:
    """The bytes of a log, and those of its disk: free for us, and in all."""

    log_bytes: int
    free_bytes: int
    total_bytes: int


def room_of(log: Path) -> Room:
    """Look at a log and its disk; a log that does not exist yet has 0 bytes.

    Raises ``OSError`` where the disk cannot be asked.
    """
    folder = next(path for path in (log.parent, *log.parent.parents) if path.exists())
    usage = shutil.disk_usage(folder)
    parts = (log, log.with_name(f"{log.name}-wal"))
    held = sum(part.stat().st_size for part in parts if part.exists())
    return Room(log_bytes=held, free_bytes=usage.free, total_bytes=usage.total)


def tell_room(log: Path) -> None:
    """Set the gauges of a log's room; they are absent while nobody can tell."""
    from runtime.metrics import (  # noqa: PLC0415 - only where metrics are served
        LOG_BYTES,
        LOG_FREE_BYTES,
    )

    try:
        room = room_of(log)
    except OSError:
        LOG_BYTES.clear()
        LOG_FREE_BYTES.clear()
        return
    LOG_BYTES.labels(f"{log}").set(room.log_bytes)
    LOG_FREE_BYTES.labels(f"{log}").set(room.free_bytes)
