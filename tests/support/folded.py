"""A log in which a processor has folded what a test appended."""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from app.topics import Wanted, apply
from eventlog.port import EventLog
from eventlog.sqlite.schema import OFFSET_BITS
from schemas.ids import Network
from schemas.log import World
from tests.support.audited import observations
from tests.support.history_noise import Raw
from tests.support.logs import PARTITIONS, Place, now_ms, open_at
from tests.support.pipeline import append, follow_progress
from tests.support.processor_process import serve

WANTED = Wanted(Network.MAINNET, World.SIMULATED, PARTITIONS, audit_days=0)


async def fold(log: EventLog, entries: Sequence[Raw], *, inputs: int = 500) -> None:
    """Append entries and wait until a processor has folded them, some a commit."""
    async with follow_progress(log) as progress, asyncio.TaskGroup() as group:
        service = group.create_task(serve(log, "one", inputs=inputs), name="processor")
        await progress.reached(await append(log, entries))
        service.cancel()


def a_folded_file(path: Path) -> Path:
    """Put a log in which a small history is folded at ``path``."""
    path.write_bytes(_folded())
    return path


@cache
def _folded() -> bytes:
    async def run(path: Path) -> None:
        async with open_at(Place("sqlite", str(path))) as log:
            await apply(log, WANTED, new_id="0123456789abcdef" * 2, now_ms=now_ms)
            await fold(log, list(observations()), inputs=5)

    with TemporaryDirectory() as folder:
        path = Path(folder) / "log.sqlite"
        # Whoever asks may have a loop of its own.
        with ThreadPoolExecutor(1) as thread:
            thread.submit(lambda: asyncio.run(run(path))).result()
        with closing(sqlite3.connect(path)) as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return path.read_bytes()


# ---- by SQL, behind the log's back


def tamper(
    path: Path, topic: str, old: bytes, new: bytes, *, after: int = 0
) -> tuple[int, int]:
    """Change the first value of a topic that holds ``old``; return shard and offset.

    ``after`` is the number of such records to leave alone.
    """

    def changed(db: sqlite3.Connection, record: int, value: bytes) -> None:
        db.execute(
            "UPDATE records SET value = ? WHERE id = ?",
            (value.replace(old, new), record),
        )

    return _edit(path, topic, old, changed, after=after)


def remove(path: Path, topic: str, *, after: int = 0) -> tuple[int, int]:
    """Delete a record of a topic; return shard and offset."""

    def removed(db: sqlite3.Connection, record: int, _: bytes) -> None:
        db.execute("DELETE FROM records WHERE id = ?", (record,))

    return _edit(path, topic, b"", removed, after=after)


def _edit(
    path: Path,
    topic: str,
    part: bytes,
    edit: Callable[[sqlite3.Connection, int, bytes], None],
    *,
    after: int,
) -> tuple[int, int]:
    with closing(sqlite3.connect(path)) as db, db:
        rows = db.execute(
            "SELECT r.id, r.value, p.number FROM records r"
            " JOIN partitions p ON p.id = r.id >> ? JOIN topics t ON t.id = p.topic"
            " WHERE t.name = ? ORDER BY r.id",
            (OFFSET_BITS, topic),
        ).fetchall()
        record, value, shard = [row for row in rows if part in (row[1] or b"")][after]
        edit(db, record, value)
    return shard, record & ((1 << OFFSET_BITS) - 1)
