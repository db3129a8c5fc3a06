"""A real log that fails when told to: it adds trouble and nothing else."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, cast

from eventlog.port import Batches, EventLog, LogError, Membership, Partition, Reader


class Troubled:
    """Passes everything on to ``log``, but for the errors that wait under a name.

    Names are those of the port's methods, and ``read`` for that of its readers; each
    error is raised once.
    """

    def __init__(self, log: EventLog, **errors: list[LogError]) -> None:
        self._log, self._errors = log, errors

    def as_log(self) -> EventLog:
        return cast("EventLog", self)

    def __getattr__(self, name: str) -> Any:
        self._raise(name)
        return getattr(self._log, name)

    @asynccontextmanager
    async def reader(self, positions: Mapping[Partition, int]) -> AsyncIterator[Reader]:
        self._raise("reader")
        async with self._log.reader(positions) as reader:
            yield cast("Reader", _Reader(reader, self))

    @asynccontextmanager
    async def member(self, group: str, *, instance: str) -> AsyncIterator[Membership]:
        self._raise("member")
        async with self._log.member(group, instance=instance) as membership:
            yield membership

    def _raise(self, name: str) -> None:
        if waiting := self._errors.get(name):
            raise waiting.pop(0)


class _Reader:
    def __init__(self, reader: Reader, log: Troubled) -> None:
        self._reader, self._log = reader, log

    async def read(self, *, max_records: int, wait_s: float) -> Batches:
        self._log._raise("read")
        return await self._reader.read(max_records=max_records, wait_s=wait_s)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reader, name)
