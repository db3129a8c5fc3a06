"""Where the scenes of these tests are played."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import pytest

from app.ports import free_port
from tests.chaos.trial import Arena
from tests.support.broker_choice import has_maven
from tests.support.kafka_from_maven import MavenKafka, artifacts
from tests.support.kafka_proxy import open_proxy
from tests.support.logs import Place


class Proxied(NamedTuple):
    """A broker, and where its proxy must listen."""

    kafka: MavenKafka
    proxy_port: int


@pytest.fixture(scope="session")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    """A broker of these tests alone; each opens the proxy before it."""
    if not has_maven():
        pytest.skip("needs a broker behind a proxy: install Java 17+ and Maven")
    port = free_port("127.0.0.1")
    folder = tmp_path_factory.mktemp("kafka")
    kafka = MavenKafka(folder, jars=artifacts(), proxy_port=port)
    kafka.start()
    try:
        asyncio.run(kafka.ready())
        yield Proxied(kafka, port)
    finally:
        kafka.stop()


@pytest.fixture
async def broker_arena(proxied: Proxied, tmp_path: Path) -> AsyncIterator[Arena]:
    """An empty log on a broker, which processors reach through a proxy."""
    kafka, prefix = proxied.kafka, f"c{uuid4().hex[:8]}."
    async with open_proxy(proxied.proxy_port) as proxy:
        proxy.target_port = kafka.proxied_port
        near = Place("kafka", kafka.bootstrap, prefix)
        far = Place("kafka", f"127.0.0.1:{proxy.port}", prefix)
        yield Arena(tmp_path, near, far, proxy)


@pytest.fixture
def file_arena(tmp_path: Path) -> Arena:
    """An empty log in a file."""
    place = Place("sqlite", str(tmp_path / "log.sqlite"))
    return Arena(tmp_path, place, place)
