# mypy: allow-untyped-calls
"""What the driver makes of a fetched record once it was told to make ours."""

import gc
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.consumer.fetcher import (
    READ_COMMITTED,
    FetchError,
    FetchResult,
    PartitionRecords,
)
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.memory_records import MemoryRecords

from eventlog.kafka.fetched import drop_records, hand_over_records
from eventlog.port import Entry, Record

THEIRS = TopicPartition("t", 0)
ENTRIES = [
    Entry(b"k", b"v", [("commit", b"7"), ("more", b"")]),
    Entry(None, b"no key"),
    Entry(b"tombstone", None),
]


class Fetcher:
    """The part of the driver that holds what was fetched."""

    def __init__(self) -> None:
        self._records: dict[TopicPartition, object] = {}


def a_consumer() -> Any:
    consumer: Any = AIOKafkaConsumer(group_id=None)
    consumer._closed = True  # nothing to stop: it never connects
    consumer._fetcher = Fetcher()
    hand_over_records(consumer)
    return consumer


def waiting_records() -> Any:
    return a_consumer()._fetcher._records


def fetched() -> FetchResult:
    built = BatchBuilder(10_000, 0, is_transactional=1)
    for key, value, headers in ENTRIES:
        built.append(timestamp=5, key=key, value=value, headers=list(headers))
    records = PartitionRecords(
        THEIRS,
        MemoryRecords(bytes(built._build())),
        [],
        0,
        None,
        None,
        True,
        READ_COMMITTED,
    )
    subscriptions = SubscriptionState()
    subscriptions.assign_from_user([THEIRS])
    assignment = subscriptions.subscription.assignment
    assignment.state_value(THEIRS).reset_to(0)
    return FetchResult(
        THEIRS, assignment=assignment, partition_records=records, backoff=0
    )


async def test_records_come_out_as_ours_with_all_that_they_hold() -> None:
    waiting = waiting_records()
    waiting[THEIRS] = fetched()
    taken = waiting[THEIRS].getall()
    assert all(type(record) is Record for record in taken)
    assert [(key, value, list(headers)) for _, _, key, value, headers in taken] == [
        (key, value, list(headers)) for key, value, headers in ENTRIES
    ]
    assert [record[:2] for record in taken] == [(0, 5), (1, 5), (2, 5)]


async def test_errors_that_wait_among_what_was_fetched_stay_what_they_are() -> None:
    waiting = waiting_records()
    error = FetchError(error=ValueError(), backoff=0)
    waiting[THEIRS] = error
    assert waiting.pop(THEIRS) is error


@pytest.fixture
def without_collector() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


def after_a_seek(consumer: Any) -> None:
    del consumer._fetcher._records[THEIRS]


@pytest.mark.usefixtures("without_collector")
@pytest.mark.parametrize("dropped", [after_a_seek, drop_records])
@pytest.mark.parametrize("taken", [0, 1, 3, 4])
async def test_what_is_dropped_needs_no_collector(
    dropped: Callable[[Any], None], taken: int
) -> None:
    consumer = a_consumer()
    result = fetched()
    records = weakref.ref(result._partition_records)
    consumer._fetcher._records[THEIRS] = result
    if taken:
        assert len(result.getall(taken)) == min(taken, len(ENTRIES))
    del result
    assert records() is not None
    dropped(consumer)
    assert records() is None
