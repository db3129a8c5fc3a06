# mypy: allow-untyped-calls
# ruff: noqa: SLF001 - this is the one place that reaches into the driver, for want of a
# way to stop what failed
"""Ends the driver's producers and connections when their own stop cannot."""

import asyncio
import logging

from aiokafka import AIOKafkaProducer
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import ProducerClosed

from .errors import DRIVER_ERRORS, cancellations, heed_cancellation

logger = logging.getLogger(__name__)

# There is nothing to wait for any more but the driver's tasks to notice.
_LIMIT_S = 1.0
# How the stop of a producer may end that failed before: it says so again, or it misses
# the batch that we took from it.
STOP_TROUBLES = (TimeoutError, LookupError, *DRIVER_ERRORS)


async def abandon_producer(producer: AIOKafkaProducer) -> None:
    """Stop a producer that failed, whatever its state; never raises for its troubles.

    Its own ``stop`` waits for every batch to be answered, which may never happen, and
    when it is cut short it leaves its sender running. So all batches are failed first
    and the connections closed under the requests in flight.
    """
    before = cancellations()
    transactions = producer._txn_manager
    if transactions._transaction_waiter is None:
        # A sender that fails before the first transaction stumbles over its absence.
        transactions._transaction_waiter = asyncio.get_running_loop().create_future()
    producer._message_accumulator.fail_all(ProducerClosed())
    _see_failures(producer)
    await close_connections(producer.client)
    try:
        async with asyncio.timeout(_LIMIT_S):
            await producer.stop()
    except STOP_TROUBLES as error:
        logger.debug("a failed producer stopped", extra={"error": repr(error)})
    _see_failures(producer)
    await close_connections(producer.client)
    heed_cancellation(before=before)


async def close_connections(client: AIOKafkaClient) -> None:
    """Close a client's connections: requests in flight fail at once."""
    before = cancellations()
    try:
        async with asyncio.timeout(_LIMIT_S):
            await client.close()
    except (TimeoutError, *DRIVER_ERRORS) as error:
        logger.debug("connections did not close", extra={"error": repr(error)})
    heed_cancellation(before=before)


def _see_failures(producer: AIOKafkaProducer) -> None:
    """Look at failures the driver keeps where nobody asks.

    Else each takeover of a shard leaves tracebacks of futures "never retrieved" in the
    logs; the failure itself was raised to our caller.
    """
    accumulator = producer._message_accumulator
    queued = [batch for queue in accumulator._batches.values() for batch in queue]
    waiters = [
        batch._drain_waiter for batch in [*queued, *accumulator._pending_batches]
    ]
    waiters.append(producer._txn_manager._transaction_waiter)
    for waiter in waiters:
        if waiter.done() and not waiter.cancelled():
            waiter.exception()
