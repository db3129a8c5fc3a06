"""A log whose readers stand still for a while, as a slow network would have it."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, cast

from eventlog.port import Batches, EventLog, Partition, Reader


class HeldLog:
    """Hands every call on to a log; reads wait while it is held."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self.free = asyncio.Event()
        self.free.set()

    @property
    def log(self) -> EventLog:
        """This as the log it stands for."""
        return cast(EventLog, self)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    @asynccontextmanager
    async def reader(self, positions: Mapping[Partition, int]) -> AsyncIterator[Reader]:
        async with self._log.reader(positions) as reader:
            yield _HeldReader(self, reader)


class _HeldReader:
    def __init__(self, log: HeldLog, reader: Reader) -> None:
        self._log, self._reader = log, reader

    async def read(self, *, max_records: int, wait_s: float) -> Batches:
        await self._log.free.wait()
        # A short wait, so that a hold is met soon.
        return await self._reader.read(max_records=max_records, wait_s=0.01)

    def position(self, partition: Partition) -> int:
        return self._reader.position(partition)

    def seek(self, partition: Partition, position: int) -> None:
        self._reader.seek(partition, position)
