# mypy: allow-untyped-calls
"""The right to write a shard: a transactional producer that fences and is fenced."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaProducer

from eventlog.port import (
    Entry,
    Fenced,
    LogError,
    LogRewound,
    LogUnavailable,
    Partition,
    RecordTooLarge,
    UnknownTopic,
)

from .batches import Batch, cut
from .config import KafkaConfig
from .driver import abandon_producer
from .errors import DRIVER_ERRORS, is_fencing, translated
from .offsets import Offsets
from .producers import Sent, answers, send, start_producer, stop_producer
from .topics import Topics

logger = logging.getLogger(__name__)

_FIRST_LOOK_S = 0.001
_SLOWEST_LOOK_S = 0.02


class KafkaShardWriter:
    """Commits to partition ``shard`` of any topic, until the first failure."""

    def __init__(
        self,
        shard: int,
        *,
        config: KafkaConfig,
        producer: AIOKafkaProducer,
        topics: Topics,
        offsets: Offsets,
    ) -> None:
        self._shard, self._config, self._producer = shard, config, producer
        self._topics, self._offsets = topics, offsets
        self._spent_by: LogError | None = None
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
        """Append all entries in one transaction; see the port.

        Fenced while the commit itself is under way also means ``Fenced``: if the broker
        had taken it just before, the new owner has read it.
        """
        if self._spent_by is not None:
            raise self._spent()
        try:
            batches = await self._batches(entries)
            if batches:
                await self._transaction(batches)
        except BaseException as error:
            seen = await self._give_up(error)
            if seen is error:
                raise
            raise seen from error

    async def _batches(self, entries: Mapping[str, Sequence[Entry]]) -> list[Batch]:
        """Check and cut everything before a transaction begins."""
        written = {topic: part for topic, part in entries.items() if part}
        shapes = await self._topics.shapes(written)
        batches: list[Batch] = []
        for topic, part in written.items():
            shape = shapes[topic]
            if self._shard >= shape.partitions:
                raise UnknownTopic(topic)
            batches += cut(
                self._producer.create_batch,
                Partition(topic, self._shard),
                part,
                limit_bytes=shape.limit_bytes,
            )
        return batches

    async def _transaction(self, batches: Sequence[Batch]) -> None:
        async with asyncio.timeout(self._config.commit_limit_s):
            await self._producer.begin_transaction()
            sent = await send(self._producer, batches, config=self._config)
            firsts = await answers(sent)
            self._check_ends(sent, firsts)
            self._config.on_step("commit-written")
            await self._producer.commit_transaction()
            self._config.on_step("commit-made")
            await self._until_visible(sent, firsts)
        for part, first in zip(sent, firsts, strict=True):
            # The driver knows no offset (-1) of a batch that it sent twice.
            if first >= 0:
                end = first + len(part.batch.entries)
                self._ends[part.batch.partition.topic] = end

    def _check_ends(self, sent: Sequence[Sent], firsts: Sequence[int]) -> None:
        """Refuse to go on in a partition that has lost what was committed to it.

        Nobody else writes there, so it never ends before our last records, unless a
        broker without them was made the leader or somebody created the topic again.
        """
        for part, first in zip(sent, firsts, strict=True):
            committed = self._ends.get(part.batch.partition.topic, 0)
            if 0 <= first < committed:
                raise LogRewound(part.batch.partition, end=first, committed=committed)

    async def _until_visible(self, sent: Sequence[Sent], firsts: Sequence[int]) -> None:
        """Wait for the markers: the broker answers a commit before it writes them.

        It also makes the next transaction quick. One begun before the last marker is
        refused and sent again by the driver after a fixed 20 ms.
        """
        wanted = {
            s.batch.partition: first + len(s.batch.entries)
            for s, first in zip(sent, firsts, strict=True)
        }
        pause_s = _FIRST_LOOK_S
        while True:
            ends = await self._offsets.ends(list(wanted))
            if all(ends[p] > at - 1 for p, at in wanted.items()):
                return
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _SLOWEST_LOOK_S)

    async def _give_up(self, error: BaseException) -> BaseException:
        """Spend the writer and stop its producer; return what the caller is to see."""
        seen = self._translated(error)
        self._spent_by = (
            seen if isinstance(seen, LogError) else self._unknown("cut off")
        )
        if not isinstance(seen, RecordTooLarge | UnknownTopic):
            self._topics.forget()
            await abandon_producer(self._producer)
        return seen

    def _translated(self, error: BaseException) -> BaseException:
        if is_fencing(error):
            return Fenced(self._shard)
        if isinstance(error, TimeoutError):
            limit_s = self._config.commit_limit_s
            return self._unknown(f"a commit was not answered in {limit_s:g} s")
        if isinstance(error, DRIVER_ERRORS):
            return translated(self._config.where, error)
        return error

    def _spent(self) -> LogError:
        if isinstance(self._spent_by, Fenced):
            return Fenced(self._shard)
        why = f"the writer of shard {self._shard} failed before: acquire it anew"
        return self._unknown(why)

    def _unknown(self, why: str) -> LogUnavailable:
        return LogUnavailable(self._config.where, why=why)


@asynccontextmanager
async def own_shard(
    shard: int, *, config: KafkaConfig, topics: Topics, offsets: Offsets
) -> AsyncIterator[KafkaShardWriter]:
    """Acquire a shard; every earlier owner's producer is fenced on entering."""
    producer = await start_producer(
        config,
        transactional_id=f"{config.prefix}shard-{shard}",
        limit_s=config.open_limit_s + config.stop_limit_s,
    )
    try:
        yield KafkaShardWriter(
            shard, config=config, producer=producer, topics=topics, offsets=offsets
        )
    finally:
        await stop_producer(producer, limit_s=config.stop_limit_s)
