# mypy: allow-untyped-calls
# ruff: noqa: SLF001 - this is the one place that reaches into the driver, for want of a
# way to stop what failed
"""Ends the driver's clients and connections when their own stop cannot."""

import asyncio
import logging
import traceback
from collections.abc import Coroutine, Iterator
from typing import Any, Protocol

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.client import AIOKafkaClient
from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import ProducerClosed

from .errors import DRIVER_ERRORS, cancellations, heed_cancellation

logger = logging.getLogger(__name__)

# There is nothing to wait for any more but the driver's tasks to notice.
_LIMIT_S = 1.0
# A task of the driver may suppress a cancellation that was meant for it.
_TRIES = 5
# How the stop of a producer may end that failed before: it says so again, or it misses
# the batch that we took from it.
STOP_TROUBLES = (TimeoutError, LookupError, *DRIVER_ERRORS)
# Where a consumer keeps its tasks; a coordinator without a group has the last alone.
_TASKS = (
    ("_fetcher", "_fetch_task"),
    ("_coordinator", "_coordination_task"),
    ("_coordinator", "_heartbeat_task"),
    ("_coordinator", "_commit_refresh_task"),
    ("_coordinator", "_reset_committed_task"),
)


class _Startable(Protocol):
    def start(self) -> Coroutine[Any, Any, None]: ...


class _Shut(dict[Any, AIOKafkaConnection]):
    """Connections of a stopped client: what a task of it still opens is closed at once."""

    def __setitem__(self, key: Any, connection: AIOKafkaConnection) -> None:
        connection.close(reason=CloseReason.SHUTDOWN)
        super().__setitem__(key, connection)


async def start(client: _Startable) -> None:
    """Start a producer, consumer or admin client.

    When that is cut short, the driver forgets the connection over which it asks for the
    brokers. It would stay open for as long as anybody keeps the error.
    """
    try:
        await client.start()
    except BaseException as error:
        for frame, _ in traceback.walk_tb(error.__traceback__):
            connection = frame.f_locals.get("bootstrap_conn")
            if isinstance(connection, AIOKafkaConnection):
                connection.close(reason=CloseReason.SHUTDOWN)
        raise


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
            # An earlier stop may have been cut short, then this one does nothing.
            await producer._sender.close()
    except STOP_TROUBLES as error:
        logger.debug("a failed producer stopped", extra={"error": repr(error)})
    _see_failures(producer)
    heed_cancellation(before=before)


async def abandon_consumer(consumer: AIOKafkaConsumer) -> None:
    """End what a consumer's own stop has left running; never raises for its troubles.

    Its stop ends at the first of its tasks that does not stop as it expects, and leaves
    the others to fetch and to connect for ever.
    """
    before = cancellations()
    running = set(_tasks(consumer))
    for _ in range(_TRIES):
        if not running:
            break
        for task in running:
            task.cancel()
        _, running = await asyncio.wait(running, timeout=_LIMIT_S / _TRIES)
    await close_connections(consumer._client)
    heed_cancellation(before=before)


def _tasks(consumer: AIOKafkaConsumer) -> Iterator["asyncio.Task[Any]"]:
    """Yield those tasks of a consumer that run; what failed in others is seen."""
    found = [getattr(getattr(consumer, part), name, None) for part, name in _TASKS]
    found += getattr(consumer._fetcher, "_pending_tasks", ())
    for task in found:
        if task is None:
            continue
        if not task.done():
            yield task
        elif not task.cancelled():
            task.exception()


async def close_connections(client: AIOKafkaClient) -> None:
    """Close a client's connections for good: requests in flight fail at once."""
    before = cancellations()
    client._conns = _Shut(client._conns)
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
