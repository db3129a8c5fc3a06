"""An opened log in a file: the port's calls, each handed to its part."""

import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from typing import TypeVar

from eventlog.port import (
    Entry,
    EventLog,
    Membership,
    Partition,
    Reader,
    ShardWriter,
    TopicSpec,
    TopicState,
)

from . import topics as topics_of
from .ages import age_of
from .append import append, check_sizes
from .bell import Bell
from .config import SqliteConfig
from .membership import join
from .reader import open_reader
from .session import Session
from .times import position_at
from .topics import PartitionIds, bounds
from .worker import Worker, open_worker
from .writer import own_shard

T = TypeVar("T")


class SqliteLog:
    """The port on one file. Questions and appends share a thread."""

    def __init__(self, config: SqliteConfig, *, worker: Worker, bell: Bell) -> None:
        self._config, self._worker, self._bell = config, worker, bell
        self._partition_ids = PartitionIds()

    @property
    def where(self) -> str:
        """What to call this log in a message."""
        return self._config.where

    @property
    def one_time_a_commit(self) -> bool:
        """Return True: they are written in one transaction of the file."""
        return True

    async def create(self, topics: Sequence[TopicSpec]) -> tuple[str, ...]:
        """Create the topics that do not exist; return their names."""

        def job(session: Session) -> tuple[str, ...]:
            with session.writing() as db:
                created = topics_of.create(db, topics)
                session.config.on_step("topics-written")
            return created

        return await self._worker.run(job)

    async def describe(self, topics: Sequence[TopicSpec]) -> tuple[TopicState, ...]:
        """Return those of ``topics`` that exist, each with its drift."""

        def job(session: Session) -> tuple[TopicState, ...]:
            with session.reading() as db:
                return topics_of.describe(db, topics)

        return await self._worker.run(job)

    async def append(
        self, topic: str, entries: Sequence[tuple[int, Entry]]
    ) -> tuple[int, ...]:
        """Append entries, all in one transaction; return their offsets."""
        parts: dict[int, list[Entry]] = {}
        for number, entry in entries:
            parts.setdefault(number, []).append(entry)
        firsts = await self._worker.run(
            lambda session: self._append(session, topic, parts)
        )
        offsets = {
            number: iter(range(first, first + len(parts[number])))
            for number, first in firsts.items()
        }
        return tuple(next(offsets[number]) for number, _ in entries)

    def reader(
        self, positions: Mapping[Partition, int]
    ) -> AbstractAsyncContextManager[Reader]:
        """Open a reader that starts at ``positions``."""
        return open_reader(
            positions,
            config=self._config,
            partition_ids=self._partition_ids,
            bell=self._bell,
        )

    async def oldest(self, partitions: Sequence[Partition]) -> Mapping[Partition, int]:
        """Return the oldest offset of each partition."""
        return await self._each(partitions, lambda db, found: bounds(db, found).oldest)

    async def ends(self, partitions: Sequence[Partition]) -> Mapping[Partition, int]:
        """Return the end of each partition."""
        return await self._each(partitions, lambda db, found: bounds(db, found).end)

    async def positions_at(
        self, partitions: Sequence[Partition], *, time_ms: int
    ) -> Mapping[Partition, int]:
        """Return the position of the first record of that log time or later."""
        return await self._each(
            partitions, lambda db, found: position_at(db, found, time_ms=time_ms)
        )

    async def ages(
        self, positions: Mapping[Partition, int], *, now_ms: int
    ) -> Mapping[Partition, int]:
        """Return how old the first record at each position is; no clock has a say."""
        del now_ms

        def job(session: Session) -> dict[Partition, int]:
            with session.reading() as db:
                ids = self._partition_ids.map(db, positions)
                found = {
                    at: age_of(db, ids[at], position, end=bounds(db, ids[at]).end)
                    for at, position in positions.items()
                }
            return {at: age_ms for at, age_ms in found.items() if age_ms is not None}

        return await self._worker.run(job)

    def own(self, shard: int) -> AbstractAsyncContextManager[ShardWriter]:
        """Acquire a shard and fence its earlier owners."""
        return own_shard(
            shard,
            config=self._config,
            partition_ids=self._partition_ids,
            bell=self._bell,
        )

    def member(
        self, group: str, *, instance: str
    ) -> AbstractAsyncContextManager[Membership]:
        """Join ``group``."""
        return join(group, instance=instance, config=self._config, bell=self._bell)

    def _append(
        self, session: Session, topic: str, parts: Mapping[int, Sequence[Entry]]
    ) -> dict[int, int]:
        """Append to each partition; return the offset of the first record in each."""
        for part in parts.values():
            check_sizes(topic, part)
        if not parts:
            return {}
        with session.writing() as db:
            now_ms = session.config.now_ms()
            ids = self._partition_ids.map(db, (Partition(topic, n) for n in parts))
            firsts = {
                partition.number: append(
                    db, found, parts[partition.number], now_ms=now_ms
                )
                for partition, found in ids.items()
            }
            session.config.on_step("append-written")
        self._bell.ring(frozenset(ids.values()))
        return firsts

    async def _each(
        self,
        partitions: Sequence[Partition],
        ask: Callable[[sqlite3.Connection, int], T],
    ) -> dict[Partition, T]:
        def job(session: Session) -> dict[Partition, T]:
            with session.reading() as db:
                ids = self._partition_ids.map(db, partitions)
                return {partition: ask(db, found) for partition, found in ids.items()}

        return await self._worker.run(job)


@asynccontextmanager
async def open_sqlite(config: SqliteConfig) -> AsyncIterator[EventLog]:
    """Open the log in a file, made if it is not there; its directory must be.

    Raises ``LogUnavailable`` where there can be no file, and ``LogCorrupt`` for one
    that is no log, or one of a newer version of this program.
    """
    async with open_worker("log", config) as worker:
        with closing(Bell(config.bells)) as bell:
            yield SqliteLog(config, worker=worker, bell=bell)
