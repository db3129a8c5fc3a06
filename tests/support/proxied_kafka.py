"""A broker of a test alone that everybody reaches through a proxy only."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.support.broker import started_kafka
from tests.support.broker_choice import has_maven
from tests.support.kafka_from_maven import MavenKafka
from tests.support.kafka_proxy import KafkaProxy, open_proxy


@asynccontextmanager
async def behind_a_proxy() -> AsyncIterator[tuple[MavenKafka, KafkaProxy]]:
    """Run a broker and the proxy before it; skip where none can run."""
    if not has_maven():
        pytest.skip("needs a broker behind a proxy: install Java 17+ and Maven")
    async with open_proxy() as proxy:
        with started_kafka(advertised_port=proxy.port) as kafka:
            proxy.target_port = kafka.port
            await kafka.ready()
            yield kafka, proxy
