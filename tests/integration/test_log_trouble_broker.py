"""The whole feed while its broker is away, slow, full or in part without a leader."""

import logging
import resource

import pytest
from prometheus_client import REGISTRY

from tests.support.kafka_feed import Feed, feed, impatient
from tests.support.kafka_from_maven import MavenKafka

pytestmark = [pytest.mark.broker, pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.fixture(autouse=True)
def quiet() -> None:
    """As the services do: what the driver says again and again is not logged."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)


async def all_say_that_it_is_away(running: Feed) -> None:
    """Wait until every service says so in its way; nothing that was served is gone."""
    before = await running.prices()
    both = {"log", "buffer"}
    await running.until(
        "the buffer full", lambda: both <= running.ingest.reasons().keys()
    )
    said = running.ingest.reasons()
    assert "nothing is read" in said["buffer"]
    assert "not available" in said["log"]
    waiting = ("shard 0: the log", "shard 1: the log", "shard 2: the log")
    await running.until(
        "every shard waits",
        lambda: all(w in f"{running.processor.reasons()}" for w in waiting),
    )
    await running.warns("the log has not answered")
    # What was on its way to the edge may have come after.
    assert before.keys() <= (await running.prices()).keys()


def errors() -> float:
    """How often a service was told that the log is away."""
    name = "stacks_feed_log_errors_total"
    found = REGISTRY.get_sample_value(name, {"error": "LogUnavailable"})
    return found or 0.0


async def no_reading_goes_on(running: Feed) -> None:
    """Upstream is left alone while the buffer is full, and the last table is served."""
    before = await running.admin.requests("kraxel")
    served = await running.prices()
    tries = errors()
    await running.until("more tries", lambda: errors() > tries + 9)
    assert await running.admin.requests("kraxel") == before
    assert await running.prices() == served


async def all_goes_on(running: Feed) -> None:
    await running.well()
    await running.news()
    await running.warns(None)
    await running.checked()


async def test_all_wait_for_a_broker_that_is_away_and_go_on_by_themselves(
    own_broker: MavenKafka,
) -> None:
    async with feed(impatient(own_broker.bootstrap), buffer_records=10) as running:
        await running.news()
        own_broker.kill()
        await all_say_that_it_is_away(running)
        await no_reading_goes_on(running)
        await own_broker.restart()
        await all_goes_on(running)


async def test_a_broker_whose_disk_is_full_is_as_one_that_is_away(
    own_broker: MavenKafka,
) -> None:
    async with feed(impatient(own_broker.bootstrap), buffer_records=10) as running:
        await running.news()
        hard = resource.prlimit(own_broker.pid, resource.RLIMIT_FSIZE)[1]
        resource.prlimit(own_broker.pid, resource.RLIMIT_FSIZE, (4_096, hard))
        await all_say_that_it_is_away(running)
        own_broker.stop()  # it has ended by itself, or it answers nobody
        await own_broker.restart()
        await all_goes_on(running)
