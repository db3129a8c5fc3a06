# mypy: allow-untyped-calls
"""Commits whose end the broker hears too late, or whose answer is lost."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest

from eventlog.kafka import KafkaConfig, open_kafka
from eventlog.kafka.batches import cut
from eventlog.kafka.producers import answers, send, start_producer, stop_producer
from eventlog.port import (
    Cleanup,
    Entry,
    EventLog,
    LogUnavailable,
    Partition,
    TopicSpec,
    read_to,
)
from tests.support.kafka_proxy import END_TXN, KafkaProxy

pytestmark = pytest.mark.broker

RAW = TopicSpec("raw", 1, Cleanup(compact=False, retention_ms=None))
ONLY = Partition("raw", 0)


def config_of(proxy: KafkaProxy) -> KafkaConfig:
    return KafkaConfig(
        bootstrap=f"127.0.0.1:{proxy.port}",
        prefix=f"k{uuid4().hex[:12]}.",
        commit_limit_s=1.0,
        stop_limit_s=0.5,
    )


def one(text: str) -> dict[str, list[Entry]]:
    return {"raw": [Entry(b"key", text.encode())]}


async def values(log: EventLog) -> list[bytes | None]:
    ends = await log.ends([ONLY])
    async with log.reader({ONLY: 0}) as reader:
        return [
            record.value
            async for batches in read_to(reader, ends)
            for record in batches[ONLY]
        ]


@asynccontextmanager
async def transaction(config: KafkaConfig, text: str) -> AsyncIterator[None]:
    """A later owner's transaction: open inside, committed on leaving."""
    producer = await start_producer(
        config, transactional_id=f"{config.prefix}shard-0", limit_s=10
    )
    try:
        await producer.begin_transaction()
        entries = [Entry(b"key", text.encode())]
        batches = list(cut(producer.create_batch, ONLY, entries, limit_bytes=1_000))
        await answers(await send(producer, batches, config=config))
        yield
        await producer.commit_transaction()
    finally:
        await stop_producer(producer, limit_s=1)


async def test_a_late_end_of_an_old_commit_ends_no_later_transaction(
    proxy: KafkaProxy,
) -> None:
    config = config_of(proxy)
    async with open_kafka(config) as log:
        await log.create([RAW])
        async with log.own(0) as writer:
            await writer.commit(one("first"))
            with proxy.holding_requests(END_TXN), pytest.raises(LogUnavailable):
                await writer.commit(one("late"))
        async with transaction(config, "later"):
            assert proxy.release() >= 1
            assert await values(log) == [b"first"]
        async with log.own(0) as successor:
            await successor.commit(one("last"))
        assert await values(log) == [b"first", b"later", b"last"]


async def test_a_commit_whose_answer_is_lost_may_be_there_but_whole(
    proxy: KafkaProxy,
) -> None:
    async with open_kafka(config_of(proxy)) as log:
        await log.create([RAW])
        async with log.own(0) as writer:
            with proxy.losing_answers(END_TXN), pytest.raises(LogUnavailable):
                await writer.commit(one("unknown"))
        async with log.own(0) as successor:
            await successor.commit(one("next"))
        assert await values(log) == [b"unknown", b"next"]
