"""A real log whose commits go wrong in the ways that a broker's do."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from enum import Enum
from typing import Any, cast

from eventlog.port import Entry, EventLog, LogUnavailable, ShardWriter


class Fate(Enum):
    """What becomes of one commit."""

    DONE = "it is written and answered"
    LOST = "it is not written, and the answer is an error"
    UNANSWERED = "it is written, and the answer is an error"


class LossyLog:
    """Passes everything on to ``log``; commits of records meet the fates it is given."""

    def __init__(self, log: EventLog, topic: str, fates: Sequence[Fate]) -> None:
        self._log, self._topic = log, topic
        self.fates = list(fates)

    def as_log(self) -> EventLog:
        return cast("EventLog", self)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    @asynccontextmanager
    async def own(self, shard: int) -> AsyncIterator[ShardWriter]:
        async with self._log.own(shard) as writer:
            yield cast("ShardWriter", _Writer(writer, self))

    def next_fate(self, entries: Mapping[str, Sequence[Entry]]) -> Fate:
        """Return the fate of a commit; of one without the topic always ``DONE``."""
        if not self.fates or self._topic not in entries:
            return Fate.DONE
        return self.fates.pop(0)


class _Writer:
    def __init__(self, writer: ShardWriter, log: LossyLog) -> None:
        self._writer, self._log = writer, log

    def __getattr__(self, name: str) -> Any:
        return getattr(self._writer, name)

    async def commit(self, entries: Mapping[str, Sequence[Entry]]) -> None:
        fate = self._log.next_fate(entries)
        if fate is not Fate.LOST:
            await self._writer.commit(entries)
        if fate is not Fate.DONE:
            raise LogUnavailable("the test", why=fate.value)
