"""One partition without a leader: its shard waits and is named, the others go on."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from eventlog.kafka import KafkaConfig, open_kafka
from eventlog.port import Entry, EventLog
from processor.config import ProcessorConfig
from processor.service import run
from runtime.clock import SystemClock
from runtime.health import Health
from schemas.base import encode
from schemas.topics import PRICES_RAW
from tests.support.folding import ALPHA, price
from tests.support.kafka_feed import impatient
from tests.support.kafka_from_maven import MavenKafka
from tests.support.kafka_two_nodes import (
    SecondNode,
    create_placed,
    settle_on_the_first,
)
from tests.support.pipeline import TOPICS, Progress, follow_progress
from tests.support.processes import until

pytestmark = [pytest.mark.broker, pytest.mark.slow, pytest.mark.timeout(180)]

LOST = 1


@asynccontextmanager
async def two_nodes(first: MavenKafka) -> AsyncIterator[tuple[KafkaConfig, SecondNode]]:
    """Add a node to a broker that is ready; shard ``LOST`` of our topics is there."""
    config = impatient(first.bootstrap)
    await settle_on_the_first(replace(config, prefix="settling."))
    with TemporaryDirectory(prefix="kafka-") as folder:
        second = SecondNode(Path(folder), first)
        second.start()
        try:
            await second.ready()
            await create_placed(config, TOPICS, on_second=LOST)
            yield config, second
        finally:
            second.stop()


@asynccontextmanager
async def processing(config: KafkaConfig) -> AsyncIterator[Health]:
    health = Health()
    async with open_kafka(config) as log, asyncio.TaskGroup() as group:
        settings = ProcessorConfig("one", idle_watermark_s=1.0, max_backoff_s=1.0)
        running = group.create_task(run(log, settings, SystemClock(), health=health))
        yield health
        running.cancel()


async def folded(log: EventLog, progress: Progress, *shards: int) -> None:
    """Append a price to each of these shards and wait until it is folded."""
    for shard in shards:
        entry = Entry(ALPHA.encode(), encode(price("1")))
        (offset,) = await log.append(PRICES_RAW, [(shard, entry)])
        await progress.reached({(PRICES_RAW, shard): offset + 1})


async def test_the_other_shards_go_on_and_the_one_is_named(
    own_broker: MavenKafka,
) -> None:
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    async with (
        two_nodes(own_broker) as (config, second),
        open_kafka(config) as log,
        processing(config) as health,
        follow_progress(log) as progress,
    ):
        await folded(log, progress, 0, 1, 2)
        second.kill()
        await until(
            "the lost shard is named",
            lambda: f"shard {LOST}: the log" in f"{health.reasons()}",
        )
        await folded(log, progress, 0, 2)
        assert "shard 0" not in f"{health.reasons()}"
        await second.restart()
        await folded(log, progress, 0, 1, 2)
        await until("all shards served", lambda: not health.reasons())
