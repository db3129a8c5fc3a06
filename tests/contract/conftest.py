"""One fresh, empty log for each test of the contract, on each adapter."""

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from uuid import uuid4

import pytest

from eventlog.port import EventLog
from tests.support.kafka_proxy import KafkaProxy
from tests.support.logs import TOPICS, OpenHandle, Place, open_at
from tests.support.proxied_kafka import behind_a_proxy


@pytest.fixture(params=["sqlite", pytest.param("kafka", marks=pytest.mark.broker)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Where this test's log is; no other test has ever written there."""
    if request.param == "kafka":
        broker: str = request.getfixturevalue("broker")
        return Place("kafka", broker, prefix=f"t{uuid4().hex[:12]}.")
    return Place("sqlite", str(tmp_path / "log.sqlite"))


@pytest.fixture
def open_log(place: Place) -> OpenHandle:
    """Open an independent handle on the test's log, as another process would."""
    return partial(open_at, place)


@pytest.fixture
async def log(open_log: OpenHandle) -> AsyncIterator[EventLog]:
    """One handle on the test's log, with the topics created."""
    async with open_log() as handle:
        await handle.create(TOPICS)
        yield handle


@pytest.fixture
async def proxy() -> AsyncIterator[KafkaProxy]:
    """The proxy before a broker of this test alone."""
    async with behind_a_proxy() as (_, proxy):
        yield proxy
