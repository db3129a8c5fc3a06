# mypy: allow-untyped-calls
"""Raw appends: one idempotent producer a handle, made anew after any failure."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from itertools import chain

from aiokafka import AIOKafkaProducer

from eventlog.port import Entry, LogUnavailable, Partition, UnknownTopic

from .batches import Batch, by_partition, cut
from .config import KafkaConfig
from .driver import abandon_producer
from .errors import border
from .producers import answers, send, start_producer, stop_producer
from .topics import Topics


class Appender:
    """Appends entries outside any transaction; several tasks may at once."""

    def __init__(self, config: KafkaConfig, topics: Topics) -> None:
        self._config, self._topics = config, topics
        self._producer: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()

    async def append(
        self, topic: str, entries: Sequence[tuple[int, Entry]]
    ) -> tuple[int, ...]:
        """Append entries to the partitions named with them; return their offsets."""
        shape = (await self._topics.shapes([topic]))[topic]
        groups = by_partition(entries)
        for number in groups:
            if not 0 <= number < shape.partitions:
                raise UnknownTopic(topic)
        if not groups:
            return ()
        producer = await self._started()
        batches = [
            batch
            for number, group in groups.items()
            for batch in cut(
                producer.create_batch,
                Partition(topic, number),
                group,
                limit_bytes=shape.limit_bytes,
            )
        ]
        firsts = await self._send(producer, batches)
        return _in_order(entries, batches, firsts)

    async def close(self) -> None:
        """Stop the producer; what was appended is durable already."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await stop_producer(producer, limit_s=self._config.stop_limit_s)

    async def _send(
        self, producer: AIOKafkaProducer, batches: Sequence[Batch]
    ) -> tuple[int, ...]:
        try:
            async with border(self._config.where, limit_s=self._config.request_limit_s):
                sent = await send(producer, batches, config=self._config)
                self._config.on_step("append-written")
                firsts = await answers(sent)
        except LogUnavailable:
            await self._drop(producer)
            raise
        if min(firsts) < 0:
            # A batch sent twice that the broker took long ago: there, but where?
            raise LogUnavailable(self._config.where, why="the offsets were not told")
        return firsts

    async def _started(self) -> AIOKafkaProducer:
        async with self._starting:
            if self._producer is None:
                self._producer = await start_producer(
                    self._config,
                    transactional_id=None,
                    limit_s=self._config.open_limit_s,
                )
            return self._producer

    async def _drop(self, failed: AIOKafkaProducer) -> None:
        """Never use a producer again that failed once: its sequence may have a gap."""
        if self._producer is failed:
            self._producer = None
        self._topics.forget()
        await abandon_producer(failed)


def _in_order(
    entries: Sequence[tuple[int, Entry]],
    batches: Sequence[Batch],
    firsts: Sequence[int],
) -> tuple[int, ...]:
    """Return the offset of each entry, in the order in which they were given."""
    taken: defaultdict[int, list[range]] = defaultdict(list)
    for batch, first in zip(batches, firsts, strict=True):
        offsets = range(first, first + len(batch.entries))
        taken[batch.partition.number].append(offsets)
    following = {number: chain.from_iterable(found) for number, found in taken.items()}
    return tuple([next(following[number]) for number, _ in entries])
