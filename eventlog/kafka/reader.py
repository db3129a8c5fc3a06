# mypy: allow-untyped-calls
"""Reads partitions read-committed and knows where it stands, holes included."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import NamedTuple, cast

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import (
    CorruptRecordException,
    OffsetOutOfRangeError,
    RecordTooLargeError,
)

from eventlog.port import (
    Batches,
    LogCorrupt,
    LogError,
    LogUnavailable,
    OffsetOutOfRange,
    Partition,
    Record,
)

from .config import KafkaConfig
from .consumers import driver_partition, make_consumer, stop_consumer
from .driver import start
from .errors import DRIVER_ERRORS, border, translated
from .fetched import hand_over_records
from .offsets import Offsets
from .topics import Topics

# A wait is cut into slices: after each the reader looks for holes and for silence.
_SLICE_S = 0.25

# What the driver has fetched, see ``fetched``.
Fetched = dict[TopicPartition, list[Record]]


class _Look(NamedTuple):
    """What was known of a partition when all fetched records had been taken."""

    position: int
    stable_end: int | None
    answered_ms: int | None


class KafkaReader:
    """One consumer with partitions assigned by hand.

    It asks the driver for one record more than the caller wants and keeps that one. So
    whenever it has given out all it has, the driver has walked on over transaction
    markers and aborted batches, and positions reach ``ends()``.
    """

    def __init__(
        self,
        *,
        config: KafkaConfig,
        consumer: AIOKafkaConsumer,
        offsets: Offsets,
        positions: Mapping[Partition, int],
    ) -> None:
        self._config, self._consumer, self._offsets = config, consumer, offsets
        self._names = {driver_partition(config, p): p for p in positions}
        self._positions = dict(positions)
        self._kept: tuple[Partition, Record] | None = None
        self._looks: dict[TopicPartition, _Look] = {}
        self._silent_since_s: float | None = None
        consumer.assign(list(self._names))
        self._rewind()

    async def read(self, *, max_records: int, wait_s: float) -> Batches:
        """Return what is next; see the port."""
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + wait_s
        slice_s = 0.0
        try:
            while True:
                fetched = await self._fetch(max_records, wait_s=slice_s)
                if not fetched and slice_s and self._kept is None:
                    # What came in just when the wait ended must be taken before a look.
                    fetched = await self._fetch(max_records, wait_s=0.0)
                if fetched or self._kept is not None:
                    return await self._taken(fetched, max_records)
                now_s = loop.time()
                await self._look(now_s)
                if now_s >= deadline_s:
                    return {}
                slice_s = min(deadline_s - now_s, _SLICE_S)
        except BaseException:
            self._rewind()
            raise

    def position(self, partition: Partition) -> int:
        """Return the next offset to read; see the port."""
        return self._positions[partition]

    def seek(self, partition: Partition, position: int) -> None:
        """Read on from ``position``; see the port."""
        self._positions[partition] = position
        self._rewind()

    def _rewind(self) -> None:
        """Let the driver read on from where we stand: it may be ahead of us."""
        self._kept = None
        self._looks.clear()
        for theirs, ours in self._names.items():
            self._consumer.seek(theirs, self._positions[ours])

    async def _fetch(self, max_records: int, *, wait_s: float) -> Fetched:
        """Return the driver's next records, with the kept one at most one too many."""
        wanted = max_records + (self._kept is None)
        # At least 1 ms: the driver takes 0 for "do not wait", and the event loop must
        # get its turn.
        timeout_ms = max(1, int(wait_s * 1000)) if wait_s else 0
        try:
            fetched = await self._consumer.getmany(
                timeout_ms=timeout_ms, max_records=wanted
            )
        except OffsetOutOfRangeError as error:
            raise await self._out_of_range(error) from error
        except (RecordTooLargeError, CorruptRecordException) as error:
            raise LogCorrupt(self._config.where, why=str(error)) from error
        except DRIVER_ERRORS as error:
            raise translated(self._config.where, error) from error
        return cast(Fetched, fetched)

    async def _taken(self, fetched: Fetched, max_records: int) -> Batches:
        """Return what was fetched under our names and move the positions."""
        batches = {self._names[theirs]: part for theirs, part in fetched.items()}
        count = sum(map(len, batches.values()))
        if self._kept is not None:
            partition, record = self._kept
            batches.setdefault(partition, []).insert(0, record)
            count, self._kept = count + 1, None
        if count > max_records:
            self._keep_last(batches, self._names[next(reversed(fetched))])
        await self._advance()
        self._silent_since_s = None
        return batches

    def _keep_last(
        self, batches: dict[Partition, list[Record]], partition: Partition
    ) -> None:
        """Put the one record too many aside."""
        self._kept = (partition, batches[partition].pop())
        if not batches[partition]:
            del batches[partition]

    async def _advance(self) -> None:
        """Take the driver's positions: past what it gave, and past holes after that."""
        for theirs, ours in self._names.items():
            self._positions[ours] = await self._consumer.position(theirs)
        if self._kept is not None:
            partition, record = self._kept
            self._positions[partition] = record.offset

    async def _look(self, now_s: float) -> None:
        """After a slice without records: pass holes, notice a broker that is silent.

        All that was fetched has been taken, and there was no await since.
        """
        before, self._looks = self._looks, {}
        for theirs in self._names:
            self._looks[theirs] = _Look(
                await self._consumer.position(theirs),
                self._consumer.last_stable_offset(theirs),
                self._consumer.last_poll_timestamp(theirs),
            )
        moved = [p for p, look in self._looks.items() if look != before.get(p)]
        if moved or self._silent_since_s is None:
            self._silent_since_s = now_s
        elif now_s - self._silent_since_s > self._config.silence_limit_s:
            raise LogUnavailable(self._config.where, why="the broker is silent")
        self._pass_holes(before)
        await self._advance()

    def _pass_holes(self, before: Mapping[TopicPartition, _Look]) -> None:
        """Step to the stable end where the broker has nothing before it.

        Brokers may remove markers and aborted batches at the end of a partition; then
        no fetch ever moves the driver there. Two looks at the same position with an
        answered fetch between them, and nothing fetched of any partition meanwhile
        (which could have used up the size of the answer), prove that there is nothing.
        """
        pairs = [(before.get(p), look) for p, look in self._looks.items()]
        if any(old is None or old.position != look.position for old, look in pairs):
            return
        for theirs, look in self._looks.items():
            answered = look.answered_ms != before[theirs].answered_ms
            end = look.stable_end
            if answered and end is not None and end > look.position:
                self._consumer.seek(theirs, end)

    async def _out_of_range(self, error: OffsetOutOfRangeError) -> LogError:
        asked: dict[TopicPartition, int] = error.args[0]
        theirs, offset = next(iter(asked.items()))
        ours = self._names[theirs]
        oldest = (await self._offsets.oldest([ours]))[ours]
        end = (await self._offsets.ends([ours]))[ours]
        return OffsetOutOfRange(ours, offset=offset, oldest=oldest, end=end)


@asynccontextmanager
async def open_reader(
    positions: Mapping[Partition, int],
    *,
    config: KafkaConfig,
    topics: Topics,
    offsets: Offsets,
) -> AsyncIterator[KafkaReader]:
    """Open a reader at ``positions``; ``UnknownTopic`` for a partition not there."""
    for partition in positions:
        await topics.require(partition.topic, partition.number)
    consumer = make_consumer(config, limit_s=config.request_limit_s)
    try:
        async with border(config.where, limit_s=config.open_limit_s):
            await start(consumer)
        hand_over_records(consumer)
        yield KafkaReader(
            config=config, consumer=consumer, offsets=offsets, positions=positions
        )
    finally:
        await stop_consumer(consumer, limit_s=config.stop_limit_s)
