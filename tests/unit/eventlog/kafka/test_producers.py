# mypy: allow-untyped-calls
"""A driver that refuses batches, or fails to stop: which of its errors is seen."""

import asyncio
from typing import Any, NamedTuple

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import IllegalOperation, ProducerFenced
from aiokafka.producer.message_accumulator import BatchBuilder

from eventlog.kafka import KafkaConfig
from eventlog.kafka.batches import BATCH_BYTES, Batch
from eventlog.kafka.producers import send, stop_producer
from eventlog.port import Entry, Partition

CONFIG = KafkaConfig(bootstrap="nowhere:9092", prefix="prefix.")


class Taken(NamedTuple):
    """What the driver says of a batch that the broker has."""

    offset: int


class RefusingDriver:
    """Takes one batch and answers as told; then it is in no transaction any more."""

    def __init__(self, answer: Taken | BaseException) -> None:
        self._answer = answer
        self.taken: list[tuple[str, int]] = []

    async def send_batch(
        self, _: BatchBuilder, topic: str, *, partition: int
    ) -> "asyncio.Future[Taken]":
        if self.taken:
            raise IllegalOperation("not in a transaction")
        self.taken.append((topic, partition))
        answered: asyncio.Future[Taken] = asyncio.get_running_loop().create_future()
        if isinstance(self._answer, Taken):
            answered.set_result(self._answer)
        else:
            answered.set_exception(self._answer)
        return answered


def batches(*topics: str) -> list[Batch]:
    built = BatchBuilder(BATCH_BYTES, 0)
    return [Batch(Partition(topic, 2), [Entry(b"k", b"v")], built) for topic in topics]


async def test_a_refusal_is_explained_by_the_answer_to_what_was_sent_before() -> None:
    driver: Any = RefusingDriver(ProducerFenced())
    with pytest.raises(ProducerFenced):
        await send(driver, batches("raw", "table"), config=CONFIG)
    assert driver.taken == [("prefix.raw", 2)]


async def test_a_refusal_that_no_answer_explains_is_seen_itself() -> None:
    driver: Any = RefusingDriver(Taken(offset=7))
    with pytest.raises(IllegalOperation):
        await send(driver, batches("raw", "table"), config=CONFIG)


class Stumbling(AIOKafkaProducer):
    """A producer whose sender has died: so says each stop."""

    def __init__(self, error: Exception) -> None:
        super().__init__(bootstrap_servers=CONFIG.bootstrap, transactional_id="any")
        self._error = error
        self.stops = 0

    async def stop(self) -> None:
        self._closed = True
        self.stops += 1
        raise self._error


@pytest.mark.parametrize(
    "error", [KeyError("a batch"), AssertionError(), ProducerFenced(), OSError()]
)
async def test_the_stop_of_a_producer_that_failed_is_no_failure_of_ours(
    error: Exception,
) -> None:
    producer = Stumbling(error)
    await stop_producer(producer, limit_s=1)
    assert producer.stops == 2  # as it should be, then as for what failed


async def test_a_bug_in_a_stop_is_seen() -> None:
    with pytest.raises(ZeroDivisionError):
        await stop_producer(Stumbling(ZeroDivisionError()), limit_s=1)
