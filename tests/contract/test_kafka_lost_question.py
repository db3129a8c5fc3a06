"""A member of a group whose question about the shards is lost."""

import asyncio
from uuid import uuid4

import pytest

from eventlog.kafka import KafkaConfig, open_kafka
from eventlog.port import EventLog
from tests.support.kafka_proxy import FIND_COORDINATOR, KafkaProxy, Meddle
from tests.support.logs import LONG_S, SHARDS

pytestmark = [pytest.mark.broker, pytest.mark.timeout(60)]


async def test_a_leader_that_lost_its_first_answers_shares_the_shards_out(
    proxy: KafkaProxy,
) -> None:
    """The connection is cut just when the driver asks for the topic's partitions."""
    config = KafkaConfig(f"127.0.0.1:{proxy.port}", f"k{uuid4().hex[:12]}.")
    async with open_kafka(config) as log:
        await log.create([SHARDS])
        # The broker has a group's coordinator once it was asked for one.
        await _share(log)
        with proxy.meddling(FIND_COORDINATOR, Meddle.CUT, count=1) as cut:
            assert await _share(log) == set(range(SHARDS.partitions))
        assert cut.met == 1


async def _share(log: EventLog) -> frozenset[int]:
    async with log.member("group", instance="one") as member:
        async with asyncio.timeout(LONG_S):
            return await member.changed()
