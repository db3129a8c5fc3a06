"""What was read ahead of the fold, while a commit was under way."""

import asyncio
from collections.abc import Sequence

from eventlog.port import Reader, Record, records_bytes

_WAIT_S = 1.0
# So many bytes are read ahead. Of ordinary records so many would not fit into the number
# of them that is read ahead; of the largest it is a few dozen.
READ_AHEAD_BYTES = 16 * 2**20


class Inbox:
    """The next records of a shard's inputs, at most ``limit`` of them.

    Nothing more is read while those that wait have ``limit_bytes`` or more together; the
    answer of the log that reaches it may go beyond.
    """

    def __init__(
        self, reader: Reader, *, limit: int, limit_bytes: int = READ_AHEAD_BYTES
    ) -> None:
        self._reader, self._limit, self._limit_bytes = reader, limit, limit_bytes
        self._records: dict[str, list[Record]] = {}
        self._count = self._bytes = 0
        self._news = asyncio.Event()
        self._room = asyncio.Event()

    async def fill(self) -> None:
        """Read until cancelled, as far ahead as there is room."""
        while True:
            self._room.clear()
            if self._count >= self._limit or self._bytes >= self._limit_bytes:
                await self._room.wait()
            await self._read()

    async def take(self) -> list[tuple[str, Sequence[Record]]]:
        """Return all that waits here, by topic, once there is any or it was ``poke``d."""
        await self._news.wait()
        self._news.clear()
        taken = list(self._records.items())
        self._records, self._count, self._bytes = {}, 0, 0
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
            self._bytes += records_bytes(records)
        if batches:
            self._news.set()
