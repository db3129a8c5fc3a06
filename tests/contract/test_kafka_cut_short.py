# mypy: allow-untyped-calls
"""What is cut short on a broker leaves nothing that runs, and nothing connected."""

import asyncio
import gc
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from aiokafka.conn import AIOKafkaConnection

from eventlog.kafka import KafkaConfig, open_kafka
from eventlog.kafka.consumers import make_consumer, stop_consumer
from eventlog.kafka.driver import start
from eventlog.kafka.producers import start_producer, stop_producer
from eventlog.port import EventLog, LogUnavailable
from tests.support.awaiting import eventually
from tests.support.kafka_proxy import (
    FETCH,
    INIT_PRODUCER_ID,
    JOIN_GROUP,
    METADATA,
    KafkaProxy,
    Meddle,
)
from tests.support.kafka_refusal import PRODUCE
from tests.support.logs import RAW, SHARDS, append, raw

Part = Callable[[EventLog], Coroutine[Any, Any, None]]

pytestmark = [pytest.mark.broker, pytest.mark.timeout(60)]


@pytest.fixture
def config(proxy: KafkaProxy) -> KafkaConfig:
    return KafkaConfig(
        f"127.0.0.1:{proxy.port}", f"k{uuid4().hex[:12]}.", stop_limit_s=0.2
    )


def connections() -> list[AIOKafkaConnection]:
    """Return what the driver has open, whoever still knows of it."""
    found = [c for c in gc.get_objects() if isinstance(c, AIOKafkaConnection)]
    return [connection for connection in found if connection.connected()]


def running() -> set[str]:
    """Return what runs of the driver."""
    names = (task.get_coro().__qualname__ for task in asyncio.all_tasks())  # type: ignore[union-attr]
    return {name for name in names if not name.startswith(("KafkaProxy.", "test_"))}


async def test_an_error_of_a_log_that_did_not_open_keeps_no_connection(
    proxy: KafkaProxy, config: KafkaConfig
) -> None:
    with proxy.meddling(METADATA, Meddle.LOSE, count=100) as lost:
        with pytest.raises(LogUnavailable) as raised:
            async with open_kafka(replace(config, open_limit_s=0.5)):
                pytest.fail("opened without having heard of a broker")
        assert lost.met
        # The error is kept here, with all that it stood on.
        assert raised.value.__cause__ is not None
        assert not connections()
    assert not running()


async def test_a_log_that_is_closed_as_soon_as_it_is_open_leaves_nothing(
    config: KafkaConfig,
) -> None:
    async with open_kafka(config):
        pass
    assert not running()
    assert not connections()


async def a_member(log: EventLog) -> None:
    async with log.member("group", instance="one") as member:
        await member.changed()


async def a_reader(log: EventLog) -> None:
    async with log.reader({raw(0): 0}) as reader:
        await reader.read(max_records=1, wait_s=60)


async def an_owner(log: EventLog) -> None:
    async with log.own(0):
        pytest.fail("owned what the broker did not give")


@pytest.mark.parametrize(
    ("part", "kind"),
    [(a_member, JOIN_GROUP), (a_reader, FETCH), (an_owner, INIT_PRODUCER_ID)],
)
async def test_a_part_that_is_stopped_while_the_broker_is_silent_leaves_nothing(
    proxy: KafkaProxy, config: KafkaConfig, part: Part, kind: int
) -> None:
    async with open_kafka(config) as log:
        await log.create([RAW, SHARDS])
        await append(log, raw(0), "one")
        before, connected = running(), connections()
        with proxy.meddling(kind, Meddle.LOSE, count=10**6) as lost:
            using = asyncio.ensure_future(part(log))
            await eventually(lambda: lost.met)
            using.cancel()
            with suppress(asyncio.CancelledError):
                await using
        assert running() == before
        assert set(connections()) == set(connected)


async def test_a_log_that_is_closed_while_an_append_has_no_answer_leaves_nothing(
    proxy: KafkaProxy, config: KafkaConfig
) -> None:
    async with open_kafka(config) as log:
        await log.create([RAW])
        await append(log, raw(0), "one")
        with proxy.meddling(PRODUCE, Meddle.LOSE, count=10**6) as lost:
            appending = asyncio.ensure_future(append(log, raw(0), "two"))
            await eventually(lambda: lost.met)
            appending.cancel()
            await asyncio.wait([appending])
    assert not running()
    assert not connections()


async def test_a_stop_that_is_cancelled_stops_all_the_same(
    proxy: KafkaProxy, config: KafkaConfig
) -> None:
    async with open_kafka(config) as log:
        await log.create([RAW])
    producer = await start_producer(config, transactional_id=None, limit_s=10.0)
    with proxy.meddling(PRODUCE, Meddle.LOSE, count=10**6) as lost:
        await producer.send(config.topic(RAW.name), b"v", b"k", partition=0)
        stopping = asyncio.ensure_future(stop_producer(producer, limit_s=50.0))
        await eventually(lambda: lost.met)
        stopping.cancel()
        await asyncio.wait([stopping])
    assert stopping.cancelled()
    assert not running()
    assert not connections()


async def test_a_client_that_was_stopped_connects_no_more(config: KafkaConfig) -> None:
    consumer = make_consumer(config, limit_s=5)
    await start(consumer)
    await stop_consumer(consumer, limit_s=5)
    client = consumer._client
    (node,) = (broker.nodeId for broker in client.cluster.brokers())
    await client.ready(node)
    assert not connections()
