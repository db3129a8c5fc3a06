# mypy: allow-untyped-calls
"""Topics that others made on the broker: their limits, their times, their holes."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from random import Random
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from eventlog.kafka import KafkaConfig, open_kafka
from eventlog.port import (
    Cleanup,
    Entry,
    EventLog,
    LogUnavailable,
    Partition,
    RecordTooLarge,
    TopicSpec,
)
from tests.support.logs import LONG_S

pytestmark = pytest.mark.broker

TOPIC = "foreign"
ONLY = Partition(TOPIC, 0)
LONG_AGO_MS = 1_700_000_000_000


@pytest.fixture
def config(broker: str) -> KafkaConfig:
    return KafkaConfig(bootstrap=broker, prefix=f"k{uuid4().hex[:12]}.")


@pytest.fixture
async def log(config: KafkaConfig) -> AsyncIterator[EventLog]:
    async with open_kafka(config) as opened:
        yield opened


@asynccontextmanager
async def admin_of(config: KafkaConfig) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=config.bootstrap)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


async def make(config: KafkaConfig, **settings: str) -> None:
    """Create the foreign topic with settings of a test's own.

    It keeps its records for ever: those that a test dates years back would be deleted
    by the broker's default of a week as soon as it looks, while the test reads them.
    """
    named = {name.replace("_", "."): value for name, value in settings.items()}
    kept = {"retention.ms": "-1"} | named
    async with admin_of(config) as admin:
        topic = NewTopic(config.topic(TOPIC), 1, 1, topic_configs=kept)
        await admin.create_topics([topic])


async def alter(config: KafkaConfig, **settings: str) -> None:
    named = {name.replace("_", "."): value for name, value in settings.items()}
    resource = ConfigResource(ConfigResourceType.TOPIC, config.topic(TOPIC), named)
    async with admin_of(config) as admin:
        await admin.alter_configs([resource])


async def write_at(
    config: KafkaConfig, times_ms: Sequence[int], *, transactional: bool = False
) -> None:
    """Append one record for each time, as a producer that names the times."""
    name = config.prefix + "by-hand" if transactional else None
    producer = AIOKafkaProducer(
        bootstrap_servers=config.bootstrap, transactional_id=name
    )
    await producer.start()
    try:
        if transactional:
            await producer.begin_transaction()
        for time_ms in times_ms:
            await producer.send_and_wait(
                config.topic(TOPIC), b"v", b"k", partition=0, timestamp_ms=time_ms
            )
        if transactional:
            await producer.abort_transaction()
    finally:
        await producer.stop()


async def test_the_limit_of_a_topic_is_its_own(
    log: EventLog, config: KafkaConfig
) -> None:
    await make(config, max_message_bytes="1000")
    with pytest.raises(RecordTooLarge) as caught:
        await log.append(TOPIC, [(0, Entry(b"k", b"v" * 1000))])
    assert caught.value.limit_bytes == 1000
    many = [(0, Entry(b"k", b"v" * 800))] * 5
    assert await log.append(TOPIC, many) == (0, 1, 2, 3, 4)
    async with log.own(0) as writer:
        with pytest.raises(RecordTooLarge):
            await writer.commit({TOPIC: [Entry(b"k", b"v" * 1000)]})
    assert await log.ends([ONLY]) == {ONLY: 5}


async def is_taken(log: EventLog, entry: Entry) -> bool:
    """Append an entry; tell whether the broker took it."""
    try:
        await log.append(TOPIC, [(0, entry)])
    except LogUnavailable:
        return False
    return True


async def test_a_limit_that_was_lowered_is_learned_from_the_refusal(
    log: EventLog, config: KafkaConfig
) -> None:
    await make(config)
    await log.append(TOPIC, [(0, Entry(b"k", b"v"))])
    await alter(config, max_message_bytes="1000")
    large = Entry(b"k", Random(1).randbytes(2048))
    taken = 1
    async with asyncio.timeout(LONG_S):  # the broker heeds the new limit a little later
        while await is_taken(log, large):
            taken += 1
    with pytest.raises(RecordTooLarge):
        await log.append(TOPIC, [(0, large)])
    assert await log.append(TOPIC, [(0, Entry(b"k", b"v"))]) == (taken,)


async def test_log_time_is_the_running_maximum(
    log: EventLog, config: KafkaConfig
) -> None:
    await make(config, message_timestamp_type="CreateTime")
    steps = [100, 50, 60, 300, 200, 300, 400, 0]
    await write_at(config, [LONG_AGO_MS + step for step in steps])
    answers = {
        step: (await log.positions_at([ONLY], time_ms=LONG_AGO_MS + step))[ONLY]
        for step in (0, 55, 100, 101, 250, 300, 301, 400, 401)
    }
    assert answers == {
        0: 0,
        55: 0,
        100: 0,
        101: 3,
        250: 3,
        300: 3,
        301: 6,
        400: 6,
        401: 8,
    }


async def test_the_times_of_what_nobody_sees_do_not_count(
    log: EventLog, config: KafkaConfig
) -> None:
    await make(config, message_timestamp_type="CreateTime")
    await write_at(config, [LONG_AGO_MS + 500], transactional=True)
    async with asyncio.timeout(LONG_S):  # the marker follows after the answer
        while await log.ends([ONLY]) != {ONLY: 2}:
            pass
    await write_at(config, [LONG_AGO_MS + 100, LONG_AGO_MS + 200])
    for step, position in ((150, 3), (100, 2), (300, 4)):
        found = await log.positions_at([ONLY], time_ms=LONG_AGO_MS + step)
        assert found == {ONLY: position}


async def test_drift_of_a_foreign_topic_is_named(
    log: EventLog, config: KafkaConfig
) -> None:
    drifting = {"message_timestamp_type": "CreateTime", "cleanup_policy": "compact"}
    await make(config, **drifting, retention_ms="604800000")
    wanted = TopicSpec(TOPIC, 1, Cleanup(compact=False, retention_ms=None))
    (state,) = await log.describe([wanted])
    drifted = {drift.setting for drift in state.drift}
    assert {"cleanup.policy", "message.timestamp.type", "retention.ms"} <= drifted
