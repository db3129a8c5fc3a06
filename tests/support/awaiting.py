"""Waiting inside one process for what sets no event, and clocks that a test moves."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from eventlog.port import Cleanup, EventLog, TopicSpec
from eventlog.sqlite import SqliteConfig, open_sqlite
from runtime.clock import Clock, SystemClock
from schemas.topics import TOPICS
from tests.support.ingesting import LONG_S, PARTITIONS


async def eventually(happened: Callable[[], object]) -> None:
    """Return as soon as it has happened; ``TimeoutError`` after long."""
    async with asyncio.timeout(LONG_S):
        while not happened():  # noqa: ASYNC110 - what is asked about has no event
            await asyncio.sleep(0)


class SetClock(SystemClock):
    """This machine's clock, but for the wall time, which a test sets off."""

    def __init__(self, off_s: float = 0.0) -> None:
        self.off_s = off_s

    def now_ms(self) -> int:
        return super().now_ms() + round(self.off_s * 1_000)


@asynccontextmanager
async def a_log_of(folder: Path, clock: Clock) -> AsyncIterator[EventLog]:
    """A log with all topics, made if need be, whose append times are of ``clock``."""
    async with open_sqlite(
        SqliteConfig(folder / "log.sqlite", now_ms=clock.now_ms)
    ) as log:
        keep = Cleanup(compact=False, retention_ms=None)
        await log.create([TopicSpec(t.name, PARTITIONS, keep) for t in TOPICS])
        yield log
