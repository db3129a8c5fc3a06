"""A Kafka-compatible broker for the tests that need one, else a skip that says how.

Three providers, in this order: the address in ``KAFKA_BOOTSTRAP``; Redpanda in a
container where a Docker engine answers; Apache Kafka from Maven's artifacts where
``java`` and ``mvn`` are.
"""

import asyncio
import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.support.broker_choice import given_address, has_docker, has_maven
from tests.support.compose_file import services
from tests.support.kafka_from_maven import MavenKafka, artifacts

_HOW = (
    "needs a Kafka-compatible broker: set KAFKA_BOOTSTRAP=host:port, or start Docker, "
    "or install Java 17+ and Maven"
)


def redpanda_image() -> str:
    """Return the image of the broker that docker-compose.yml runs."""
    variables = os.environ  # noqa: TID251 - Compose reads it as well
    deployed = services("docker-compose.yml", variables=variables)
    return str(deployed["redpanda"]["image"])


@contextlib.contextmanager
def redpanda() -> Iterator[str]:
    """Run Redpanda in a container; yield its bootstrap address."""
    from testcontainers.community.kafka import (  # type: ignore[import-untyped,unused-ignore]  # noqa: PLC0415 - slow to import
        RedpandaContainer,
    )

    with RedpandaContainer(redpanda_image()) as container:
        yield str(container.get_bootstrap_server())


@contextlib.contextmanager
def started_kafka(
    *,
    advertised_port: int | None = None,
    variables: Mapping[str, str] | None = None,
) -> Iterator[MavenKafka]:
    """Run Apache Kafka in a directory of its own; yield it, perhaps not ready yet."""
    jars = artifacts()
    with TemporaryDirectory(prefix="kafka-") as folder:
        kafka = MavenKafka(
            Path(folder),
            jars=jars,
            advertised_port=advertised_port,
            variables=variables,
        )
        kafka.start()
        try:
            yield kafka
        finally:
            kafka.stop()


@contextlib.contextmanager
def kafka_from_maven() -> Iterator[MavenKafka]:
    """Run Apache Kafka in a directory of its own; yield it, ready."""
    with started_kafka() as kafka:
        asyncio.run(kafka.ready())
        yield kafka


@pytest.fixture(scope="session")
def broker() -> Iterator[str]:
    """Yield the bootstrap address of a broker that all tests of the run share."""
    given = given_address()
    if given:
        yield given
    elif has_docker():
        with redpanda() as bootstrap:
            yield bootstrap
    elif has_maven():
        with kafka_from_maven() as kafka:
            yield kafka.bootstrap
    else:
        pytest.skip(_HOW)


@pytest.fixture
def own_broker() -> Iterator[MavenKafka]:
    """Yield a broker of this test alone, which it may kill and restart."""
    if not has_maven():
        pytest.skip("needs a broker to kill: install Java 17+ and Maven")
    with kafka_from_maven() as kafka:
        yield kafka
