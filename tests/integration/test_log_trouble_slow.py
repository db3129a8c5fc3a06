"""The whole feed while its broker answers everything late: slower, nothing else."""

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import pytest

from tests.support.kafka_feed import feed, impatient
from tests.support.kafka_proxy import KafkaProxy, Meddle
from tests.support.proxied_kafka import behind_a_proxy

pytestmark = [pytest.mark.broker, pytest.mark.slow, pytest.mark.timeout(180)]

_KINDS = range(70)  # of all requests that the protocol has
_DELAY_S = 0.5


@contextmanager
def slow(proxy: KafkaProxy) -> Iterator[None]:
    """Hold back every answer."""
    with ExitStack() as stack:
        for kind in _KINDS:
            late = proxy.meddling(kind, Meddle.DELAY, count=10**9, delay_s=_DELAY_S)
            stack.enter_context(late)
        yield


async def test_a_slow_broker_costs_time_and_nothing_else(
    caplog: pytest.LogCaptureFixture,
) -> None:
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    caplog.set_level(logging.INFO, "processor")
    async with behind_a_proxy() as (broker, proxy):
        config = replace(
            impatient(broker.bootstrap),
            request_limit_s=15.0,
            commit_limit_s=20.0,
            silence_limit_s=10.0,
        )
        async with feed(config) as running:
            caplog.clear()
            with slow(proxy):
                await running.news()
                await running.news()
                assert dict(running.processor.reasons()) == {}
            await running.well()
            await running.checked()
    # No owner changed and no shard was restored: slowness is no reason to start over.
    assert [r.message for r in caplog.records if r.name.startswith("processor")] == []
