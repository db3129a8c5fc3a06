"""What was read ahead of the fold, while a commit was under way."""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from eventlog.port import Reader, Record
from processor.core.observations import Ahead, Said, read_ahead

_WAIT_S = 1.0
# So few that what the broker answers to a commit is not left waiting for long.
_READ_AT_ONCE = 64


class Taken(NamedTuple):
    """Records by topic, and what the first of each say, as far as there was time."""

    inputs: list[tuple[str, Sequence[Record]]]
    ahead: Ahead


class Inbox:
    """The next records of a shard's inputs, at most ``limit`` of them."""

    def __init__(self, reader: Reader, *, limit: int) -> None:
        self._reader, self._limit = reader, limit
        self._records: dict[str, list[Record]] = {}
        self._ahead: dict[str, list[Said]] = {}
        self._count = 0
        self._news = asyncio.Event()
        self._room = asyncio.Event()

    async def fill(self) -> None:
        """Read until cancelled, as far ahead as there is room."""
        while True:
            self._room.clear()
            if self._count >= self._limit:
                await self._room.wait()
            await self._receive()
            await self._read_ahead()

    async def take(self) -> Taken:
        """Return all that waits here, once there is any or it was ``poke``d."""
        await self._news.wait()
        self._news.clear()
        taken = Taken(list(self._records.items()), self._ahead)
        self._records, self._ahead, self._count = {}, {}, 0
        self._room.set()
        return taken

    def poke(self) -> None:
        """Let ``take`` return though there may be nothing."""
        self._news.set()

    async def _receive(self) -> None:
        room = self._limit - self._count
        batches = await self._reader.read(max_records=room, wait_s=_WAIT_S)
        for partition, records in batches.items():
            self._records.setdefault(partition.topic, []).extend(records)
            self._count += len(records)
        if batches:
            self._news.set()

    async def _read_ahead(self) -> None:
        """Find out what the records say while the shard waits for the log."""
        # First let it take them: it may have been waiting for just these.
        await asyncio.sleep(0)
        while (unread := self._unread()) is not None:
            topic, records = unread
            said = read_ahead(topic, records)
            self._ahead[topic] += said
            if len(said) < len(records):
                return
            await asyncio.sleep(0)

    def _unread(self) -> tuple[str, Sequence[Record]] | None:
        for topic, records in self._records.items():
            known = len(self._ahead.setdefault(topic, []))
            if known < len(records):
                return topic, records[known : known + _READ_AT_ONCE]
        return None
