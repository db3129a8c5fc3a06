# mypy: allow-untyped-calls
"""A share of the shards: a consumer group on the empty topic that has them."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.coordinator.assignors.range import RangePartitionAssignor

from eventlog.port import SHARDS_TOPIC

from .config import KafkaConfig, driver_options
from .consumers import stop_consumer
from .driver import start
from .errors import DRIVER_ERRORS, heed_cancellation, refusal
from .topics import Topics

logger = logging.getLogger(__name__)

_RETRY_S = 1.0
_POLL_MS = 10_000
_NEVER_MS = 2**31 - 1
# The driver asks once for the partitions of the topic. Where that question is lost the
# leader of the group shares out nothing, until the driver asks again: by default after
# five minutes, in which no shard is served.
_ASK_AGAIN_MS = 2_000


class KafkaMembership(ConsumerRebalanceListener):
    """The share as the group last gave it; the driver calls it from the event loop."""

    def __init__(self) -> None:
        self._shards: frozenset[int] = frozenset()
        self._returned: frozenset[int] = frozenset()
        self._news = asyncio.Event()

    def shards(self) -> frozenset[int]:
        """Return the shards that are this instance's now; see the port."""
        return self._shards

    async def changed(self) -> frozenset[int]:
        """Wait until the share is not what this returned last (at first: nothing)."""
        while self._shards == self._returned:
            self._news.clear()
            await self._news.wait()
        self._returned = self._shards
        return self._returned

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Keep serving: the shards that stay ours need not stop, the fence protects."""

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Take the new share. It raises nothing: the driver would only log it."""
        self._shards = frozenset(p.partition for p in assigned)
        self._news.set()


@asynccontextmanager
async def join(
    group: str, *, instance: str, config: KafkaConfig, topics: Topics
) -> AsyncIterator[KafkaMembership]:
    """Join the group, leave it on exit; what the body raises comes out as it is.

    Raises ``LogRefused`` once the broker refuses the member for good.
    """
    await topics.shapes([SHARDS_TOPIC])
    membership = KafkaMembership()
    failure: BaseException | None = None
    try:
        async with asyncio.TaskGroup() as tasks:
            take_part = _take_part(group, instance, config, membership)
            member = tasks.create_task(take_part, name=f"member {instance} of {group}")
            try:
                yield membership
            except BaseException as error:  # noqa: BLE001 - raised again, but not in a group
                failure = error
            member.cancel()
    except BaseExceptionGroup as errors:
        # The body's error is kept aside, so this is the member's alone.
        (failure,) = errors.exceptions
    if failure is not None:
        raise failure


async def _take_part(
    group: str, instance: str, config: KafkaConfig, membership: KafkaMembership
) -> None:
    """Be a member until cancelled; join anew after any trouble.

    The share stands meanwhile: the fence decides who may write.
    """
    trouble = config.new_trouble(
        logger, "group membership in trouble", "group membership is well again"
    )
    while True:
        consumer = _member(group, instance=instance, config=config)
        try:
            await start(consumer)
            # After the start: a start with a topic waits for the whole group.
            consumer.subscribe([config.topic(SHARDS_TOPIC)], listener=membership)
            while True:
                heed_cancellation()
                # The driver leaves the group of one that does not poll.
                await consumer.getmany(timeout_ms=_POLL_MS)
                trouble.over()
        except DRIVER_ERRORS as error:
            refused = refusal(config.where, error)
            if refused is not None:
                raise refused from error
            trouble.happened(error=repr(error))
        finally:
            await stop_consumer(consumer, limit_s=config.stop_limit_s)
        await asyncio.sleep(_RETRY_S)


def _member(group: str, *, instance: str, config: KafkaConfig) -> AIOKafkaConsumer:
    heartbeat_ms = min(1000, config.session_timeout_ms // 5)
    return AIOKafkaConsumer(
        group_id=config.prefix + group,
        client_id=instance,
        # The default assignor gives shards in a round; ranges move fewer.
        partition_assignment_strategy=(RangePartitionAssignor,),
        session_timeout_ms=config.session_timeout_ms,
        heartbeat_interval_ms=heartbeat_ms,
        max_poll_interval_ms=_NEVER_MS,
        enable_auto_commit=False,
        # The topic is empty and no offset is ever committed: any beginning will do.
        auto_offset_reset="latest",
        fetch_max_wait_ms=5000,
        metadata_max_age_ms=_ASK_AGAIN_MS,
        **driver_options(config, limit_s=config.request_limit_s),
    )
