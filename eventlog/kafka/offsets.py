# mypy: allow-untyped-calls
"""Where partitions begin and end, asked of the broker."""

from collections.abc import Mapping, Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition

from eventlog.port import Partition

from .config import KafkaConfig
from .consumers import driver_partition
from .errors import border


class Offsets:
    """Asks for offsets through a consumer that reads nothing."""

    def __init__(self, config: KafkaConfig, consumer: AIOKafkaConsumer) -> None:
        self._config, self._consumer = config, consumer

    async def oldest(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        """Return the offset below which everything was dropped, of each."""
        names = self._names(partitions)
        async with border(self._config.where, limit_s=self._config.request_limit_s):
            found = await self._consumer.beginning_offsets(list(names))
        return {ours: found[theirs] for theirs, ours in names.items()}

    async def ends(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        """Return the last stable offset of each: what a read-committed reader sees."""
        names = self._names(partitions)
        async with border(self._config.where, limit_s=self._config.request_limit_s):
            found = await self._consumer.end_offsets(list(names))
        return {ours: found[theirs] for theirs, ours in names.items()}

    async def at_time(
        self, partitions: Sequence[Partition], *, time_ms: int
    ) -> dict[Partition, int | None]:
        """Return what the broker says is the first record of that time or later."""
        names = self._names(partitions)
        asked = dict.fromkeys(names, time_ms)
        async with border(self._config.where, limit_s=self._config.request_limit_s):
            found = await self._consumer.offsets_for_times(asked)
        return {
            ours: None if found[theirs] is None else found[theirs].offset
            for theirs, ours in names.items()
        }

    def _names(
        self, partitions: Sequence[Partition]
    ) -> Mapping[TopicPartition, Partition]:
        return {driver_partition(self._config, p): p for p in partitions}
