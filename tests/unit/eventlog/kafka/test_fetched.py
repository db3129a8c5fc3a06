# mypy: allow-untyped-calls
"""What the driver makes of a fetched record once it was told to make ours."""

from typing import Any

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

from eventlog.kafka.fetched import hand_over_records
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


def waiting_records() -> Any:
    consumer: Any = AIOKafkaConsumer(group_id=None)
    consumer._closed = True  # nothing to stop: it never connects
    consumer._fetcher = Fetcher()
    hand_over_records(consumer)
    return consumer._fetcher._records


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
