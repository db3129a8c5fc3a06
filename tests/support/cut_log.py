"""A log that can be cut off from those who use it, and be there again."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, cast

from eventlog.port import Batches, EventLog, LogUnavailable, Partition, Reader


class CutLog:
    """Hands every call on to a log; while it is cut every call fails as the port says.

    ``failed`` is set by a call that failed.
    """

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self.is_cut = False
        self.failed = asyncio.Event()

    @property
    def log(self) -> EventLog:
        """This as the log it stands for."""
        return cast(EventLog, self)

    def __getattr__(self, name: str) -> Any:
        asked = getattr(self._log, name)

        async def call(*arguments: Any, **named: Any) -> Any:
            self.check()
            return await asked(*arguments, **named)

        return call

    @asynccontextmanager
    async def reader(self, positions: Mapping[Partition, int]) -> AsyncIterator[Reader]:
        self.check()
        async with self._log.reader(positions) as reader:
            yield _CutReader(self, reader)

    def check(self) -> None:
        if self.is_cut:
            self.failed.set()
            raise LogUnavailable("here", why="cut off by the test")


class _CutReader:
    def __init__(self, log: CutLog, reader: Reader) -> None:
        self._log, self._reader = log, reader

    async def read(self, *, max_records: int, wait_s: float) -> Batches:
        self._log.check()
        # A short wait, so that a cut is met soon.
        return await self._reader.read(max_records=max_records, wait_s=0.01)

    def position(self, partition: Partition) -> int:
        return self._reader.position(partition)

    def seek(self, partition: Partition, position: int) -> None:
        self._reader.seek(partition, position)
