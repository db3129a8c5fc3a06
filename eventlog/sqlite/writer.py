"""The right to write one shard: an epoch that every commit checks."""

import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from eventlog.port import (
    Entry,
    Fenced,
    LogError,
    LogRewound,
    LogUnavailable,
    Partition,
)

from .append import append, check_sizes
from .bell import Bell
from .cleaning import cleaning
from .config import SqliteConfig
from .session import Session
from .topics import PartitionIds
from .worker import Worker, open_worker


class SqliteShardWriter:
    """Commits to partition ``shard`` of any topic, until the first failure."""

    def __init__(
        self,
        shard: int,
        epoch: int,
        *,
        worker: Worker,
        partition_ids: PartitionIds,
        bell: Bell,
        where: str,
    ) -> None:
        self._shard, self._epoch = shard, epoch
        self._worker, self._partition_ids, self._bell = worker, partition_ids, bell
        self._where = where
        self._spent_by: BaseException | None = None
        self._ends: dict[str, int] = {}

    @property
    def shard(self) -> int:
        """The partition number this writer writes."""
        return self._shard

    @property
    def ends(self) -> Mapping[str, int]:
        """The end of each partition after the last commit to it; see the port."""
        return self._ends

    async def commit(self, entries: Mapping[str, Sequence[Entry]]) -> None:
        """Append all entries in one transaction; see the port."""
        if self._spent_by is not None:
            raise self._spent()
        try:
            ends = await self._worker.run(lambda db: self._commit(db, entries))
            self._ends.update(ends)
        except BaseException as error:
            self._spent_by = error
            raise

    def _commit(
        self, session: Session, entries: Mapping[str, Sequence[Entry]]
    ) -> dict[str, int]:
        """Append all entries; return the end of each partition written."""
        for topic, part in entries.items():
            check_sizes(topic, part)
        with session.writing() as db:
            check_epoch(db, self._shard, self._epoch)
            now_ms = session.config.now_ms()
            ids = {
                topic: self._partition_ids.get(db, Partition(topic, self._shard))
                for topic, part in entries.items()
                if part
            }
            ends: dict[str, int] = {}
            for topic, partition_id in ids.items():
                first = append(db, partition_id, entries[topic], now_ms=now_ms)
                self._check_end(topic, first)
                ends[topic] = first + len(entries[topic])
            session.config.on_step("commit-written")
        session.config.on_step("commit-made")
        self._bell.ring(frozenset(ids.values()))
        return ends

    def _check_end(self, topic: str, end: int) -> None:
        # Nobody else writes here: it has been overwritten by an older copy of the file.
        committed = self._ends.get(topic, 0)
        if end < committed:
            at = Partition(topic, self._shard)
            raise LogRewound(at, end=end, committed=committed)

    def _spent(self) -> LogError:
        if isinstance(self._spent_by, Fenced):
            return Fenced(self._shard)
        why = f"the writer of shard {self._shard} failed before: acquire it anew"
        return LogUnavailable(self._where, why=why)


def acquire(db: sqlite3.Connection, shard: int) -> int:
    """Fence every earlier owner of a shard; return the epoch of the new one."""
    (epoch,) = db.execute(
        "INSERT INTO fences (shard, epoch) VALUES (?, 1)"
        " ON CONFLICT (shard) DO UPDATE SET epoch = epoch + 1 RETURNING epoch",
        (shard,),
    ).fetchall()[0]
    return int(epoch)


def check_epoch(db: sqlite3.Connection, shard: int, epoch: int) -> None:
    """Raise ``Fenced`` unless ``epoch`` is the shard's newest."""
    row = db.execute("SELECT epoch FROM fences WHERE shard = ?", (shard,)).fetchone()
    if row != (epoch,):
        raise Fenced(shard)


@asynccontextmanager
async def own_shard(
    shard: int, *, config: SqliteConfig, partition_ids: PartitionIds, bell: Bell
) -> AsyncIterator[SqliteShardWriter]:
    """Acquire a shard. The owner of shard 0 also cleans up, in a thread beside."""

    def take(session: Session) -> int:
        with session.writing() as db:
            return acquire(db, shard)

    async with open_worker(f"shard {shard}", config) as worker:
        epoch = await worker.run(take)
        writer = SqliteShardWriter(
            shard,
            epoch,
            worker=worker,
            partition_ids=partition_ids,
            bell=bell,
            where=config.where,
        )
        if shard:
            yield writer
            return
        async with cleaning(config, lambda db: check_epoch(db, shard, epoch)):
            yield writer
