# mypy: allow-untyped-calls
"""An opened log on a broker: the port's calls, each handed to its part."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

from aiokafka.admin import AIOKafkaAdminClient

from eventlog.port import (
    Entry,
    EventLog,
    LogUnavailable,
    Membership,
    Partition,
    Reader,
    ShardWriter,
    TopicSpec,
    TopicState,
)

from .appender import Appender
from .config import KafkaConfig, driver_options
from .consumers import make_consumer, stop_consumer
from .driver import close_connections, start
from .errors import border
from .membership import join
from .offsets import Offsets
from .reach import why_not
from .reader import open_reader
from .times import ages, positions_at
from .topics import Topics
from .writer import own_shard


class KafkaLog:
    """The port on a broker. Its parts share one set of connections for questions."""

    def __init__(
        self, config: KafkaConfig, *, topics: Topics, offsets: Offsets
    ) -> None:
        self._config, self._topics, self._offsets = config, topics, offsets
        self._appender = Appender(config, topics)

    @property
    def where(self) -> str:
        """What to call this log in a message."""
        return self._config.where

    @property
    def one_time_a_commit(self) -> bool:
        """Return False: each partition has a leader with a clock of its own."""
        return False

    async def create(self, topics: Sequence[TopicSpec]) -> tuple[str, ...]:
        """Create the topics that do not exist; return their names."""
        return await self._topics.create(topics)

    async def describe(self, topics: Sequence[TopicSpec]) -> tuple[TopicState, ...]:
        """Return those of ``topics`` that exist, each with its drift."""
        return await self._topics.describe(topics)

    async def append(
        self, topic: str, entries: Sequence[tuple[int, Entry]]
    ) -> tuple[int, ...]:
        """Append entries; return their offsets."""
        return await self._appender.append(topic, entries)

    def reader(
        self, positions: Mapping[Partition, int]
    ) -> AbstractAsyncContextManager[Reader]:
        """Open a reader that starts at ``positions``."""
        return open_reader(
            positions, config=self._config, topics=self._topics, offsets=self._offsets
        )

    async def oldest(self, partitions: Sequence[Partition]) -> Mapping[Partition, int]:
        """Return the oldest offset of each partition."""
        await self._require(partitions)
        return await self._offsets.oldest(partitions)

    async def ends(self, partitions: Sequence[Partition]) -> Mapping[Partition, int]:
        """Return the last stable offset of each partition."""
        await self._require(partitions)
        return await self._offsets.ends(partitions)

    async def positions_at(
        self, partitions: Sequence[Partition], *, time_ms: int
    ) -> Mapping[Partition, int]:
        """Return the position of the first record of that log time or later."""
        await self._require(partitions)
        return await positions_at(
            partitions, time_ms=time_ms, offsets=self._offsets, open_reader=self.reader
        )

    async def ages(
        self, positions: Mapping[Partition, int], *, now_ms: int
    ) -> Mapping[Partition, int]:
        """Return how old the first record at each position is, by the caller's clock."""
        await self._require(list(positions))
        return await ages(
            positions, now_ms=now_ms, offsets=self._offsets, open_reader=self.reader
        )

    def own(self, shard: int) -> AbstractAsyncContextManager[ShardWriter]:
        """Acquire a shard and fence its earlier owners."""
        return own_shard(
            shard, config=self._config, topics=self._topics, offsets=self._offsets
        )

    def member(
        self, group: str, *, instance: str
    ) -> AbstractAsyncContextManager[Membership]:
        """Join ``group``."""
        return join(group, instance=instance, config=self._config, topics=self._topics)

    async def close(self) -> None:
        """Stop what was started on the way."""
        await self._appender.close()

    async def _require(self, partitions: Sequence[Partition]) -> None:
        for partition in partitions:
            await self._topics.require(partition.topic, partition.number)


@asynccontextmanager
async def open_kafka(config: KafkaConfig) -> AsyncIterator[EventLog]:
    """Open the log on a broker; ``LogUnavailable`` within ``open_limit_s`` without one."""
    async with AsyncExitStack() as stack:
        async with border(config.where, limit_s=config.open_limit_s):
            # A CA file that cannot be read is found here.
            options = driver_options(config, limit_s=config.request_limit_s)
        admin = AIOKafkaAdminClient(**options)
        # Its own end does nothing before it has started.
        stack.push_async_callback(close_connections, admin._client)  # noqa: SLF001 - see driver.py
        consumer = make_consumer(config, limit_s=config.request_limit_s)
        stack.push_async_callback(stop_consumer, consumer, limit_s=config.stop_limit_s)
        try:
            async with border(config.where, limit_s=config.open_limit_s):
                await start(admin)
                await start(consumer)
        except LogUnavailable as error:
            why = await why_not(config) or error.why
            raise LogUnavailable(config.where, why=why) from error
        log = KafkaLog(
            config, topics=Topics(config, admin), offsets=Offsets(config, consumer)
        )
        stack.push_async_callback(log.close)
        yield log
