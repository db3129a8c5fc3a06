# mypy: allow-untyped-calls
"""The driver's consumers: how ours are set up, and how they are stopped."""

import asyncio
import logging

from aiokafka import AIOKafkaConsumer, TopicPartition

from eventlog.port import Partition

from .config import KafkaConfig, driver_options
from .driver import abandon_consumer
from .errors import DRIVER_ERRORS, cancellations, heed_cancellation
from .fetched import drop_records

logger = logging.getLogger(__name__)


def driver_partition(config: KafkaConfig, partition: Partition) -> TopicPartition:
    """Return the driver's name of a partition."""
    return TopicPartition(config.topic(partition.topic), partition.number)


def make_consumer(config: KafkaConfig, *, limit_s: float) -> AIOKafkaConsumer:
    """Return a consumer without a group that sees committed records only.

    No deserialisers: one record they cannot read would stop the driver for ever.
    """
    return AIOKafkaConsumer(
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="none",
        isolation_level="read_committed",
        # A quiet partition's long poll holds back the others on the same broker.
        fetch_max_wait_ms=50,
        max_partition_fetch_bytes=2 * 1024 * 1024,
        fetch_max_bytes=16 * 1024 * 1024,
        **driver_options(config, limit_s=limit_s),
    )


async def stop_consumer(consumer: AIOKafkaConsumer, *, limit_s: float) -> None:
    """Stop a consumer in whatever state; never raises for its troubles."""
    before = cancellations()
    try:
        async with asyncio.timeout(limit_s):
            await consumer.stop()
    except asyncio.CancelledError:
        # The driver awaits fetches that it cancelled and lets their cancellation out:
        # ours is heeded below.
        logger.debug("consumer stopped before its end")
    except (TimeoutError, *DRIVER_ERRORS) as error:
        logger.debug("consumer stopped with an error", extra={"error": repr(error)})
    finally:
        drop_records(consumer)
    await abandon_consumer(consumer)
    heed_cancellation(before=before)
