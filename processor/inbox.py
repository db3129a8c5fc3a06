"""What was read ahead of the fold, while a commit was under way."""

import asyncio
from collections.abc import Sequence

from eventlog.port import Reader, Record

_WAIT_S = 1.0


class Inbox:
    """The next records of a shard's inputs, at most ``limit`` of them."""

    def __init__(self, reader: Reader, *, limit: int) -> None:
        self._reader, self._limit = reader, limit
        self._records: dict[str, list[Record]] = {}
        self._count = 0
        self._news = asyncio.Event()
        self._room = asyncio.Event()

    async def fill(self) -> None:
        """Read until cancelled, as far ahead as there is room."""
        while True:
            self._room.clear()
            if self._count >= self._limit:
                await self._room.wait()
            await self._read()

    async def take(self) -> list[tuple[str, Sequence[Record]]]:
        """Return all that waits here, by topic, once there is any or it was ``poke``d."""
        await self._news.wait()
        self._news.clear()
        taken = list(self._records.items())
        self._records, self._count = {}, 0
        self._room.set()
        return [(topic, records) for topic, records in taken]

    def poke(self) -> None:
        """Let ``take`` return though there may be nothing."""
        self._news.set()

    async def _read(self) -> None:
        room = self._limit - self._count
        batches = await self._reader.read(max_records=room, wait_s=_WAIT_S)
        for partition, records in batches.items():
            self._records.setdefault(partition.topic, []).extend(records)
            self._count += len(records)
        if batches:
            self._news.set()
