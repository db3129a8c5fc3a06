# mypy: allow-untyped-calls
"""Starting, feeding and stopping the driver's producers, each within a limit."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any, NamedTuple

from aiokafka import AIOKafkaProducer

from .batches import BATCH_BYTES, Batch
from .config import KafkaConfig, driver_options
from .driver import STOP_TROUBLES, abandon_producer, start
from .errors import DRIVER_ERRORS, border

logger = logging.getLogger(__name__)


class Sent(NamedTuple):
    """A batch on its way, and the future of what the broker says to it."""

    batch: Batch
    answer: asyncio.Future[Any]


async def start_producer(
    config: KafkaConfig, *, transactional_id: str | None, limit_s: float
) -> AIOKafkaProducer:
    """Return a started producer; with a transactional id this fences earlier ones.

    An open transaction of an earlier one is ended before this returns: the broker
    answers only then. Raises ``LogUnavailable``; nothing is left running after that.
    """
    options = driver_options(config, limit_s=max(limit_s, config.commit_limit_s))
    if transactional_id is not None:
        options["transaction_timeout_ms"] = config.transaction_timeout_ms
    producer = AIOKafkaProducer(
        acks="all",
        enable_idempotence=True,
        transactional_id=transactional_id,
        compression_type=config.compression,
        max_batch_size=BATCH_BYTES,
        **options,
    )
    try:
        async with border(config.where, limit_s=limit_s):
            await start(producer)
    except BaseException:
        await abandon_producer(producer)
        raise
    return producer


async def stop_producer(producer: AIOKafkaProducer, *, limit_s: float) -> None:
    """Stop a producer; what it was given is sent first, if that is still possible.

    Never raises for its troubles: whether something was written, its answers have said.
    """
    try:
        async with asyncio.timeout(limit_s):
            await producer.stop()
    except BaseException as error:
        await abandon_producer(producer)
        if not isinstance(error, STOP_TROUBLES):
            raise
        logger.warning("producer did not stop", extra={"error": repr(error)})


async def send(
    producer: AIOKafkaProducer, batches: Sequence[Batch], *, config: KafkaConfig
) -> list[Sent]:
    """Hand all batches to the producer, in order; the answers are still to come."""
    sent: list[Sent] = []
    try:
        for batch in batches:
            topic, number = batch.partition
            answer = await producer.send_batch(
                batch.built, config.topic(topic), partition=number
            )
            answer.add_done_callback(_look_at)
            sent.append(Sent(batch, answer))
    except DRIVER_ERRORS:
        # After a failure the driver takes no more, whatever the failure was: its
        # answer to what was sent before knows.
        await answers(sent)
        raise
    return sent


def _look_at(answer: "asyncio.Future[Any]") -> None:
    """Mark an error as seen: when several fail we raise one of them."""
    if not answer.cancelled():
        answer.exception()


async def answers(sent: Sequence[Sent]) -> tuple[int, ...]:
    """Wait for **every** answer; return each batch's first offset.

    Raises the first failure. The driver commits a transaction although a batch of it
    failed, so nobody may skip this.
    """
    if not sent:
        return ()
    await asyncio.wait([s.answer for s in sent])
    return tuple(s.answer.result().offset for s in sent)
