# mypy: allow-untyped-calls
# ruff: noqa: SLF001 - the driver offers no other way to say what it makes of a record
"""Has the driver make our records of what it fetched, without its own in between.

Its own have eleven fields, of which we want five: making them and then ours is half of
the CPU of reading.
"""

from collections import OrderedDict
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.consumer.fetcher import FetchResult

from eventlog.port import Record

_new = tuple.__new__


def hand_over_records(consumer: AIOKafkaConsumer) -> None:
    """From now on ``getmany`` of a started consumer returns ``Record``s."""
    fetcher: Any = consumer._fetcher
    fetcher._records = _Waiting()


def drop_records(consumer: AIOKafkaConsumer) -> None:
    """Let go of what a stopped consumer had fetched."""
    if consumer._fetcher is not None:
        consumer._fetcher._records.clear()


class _Waiting(OrderedDict[TopicPartition, Any]):
    """What was fetched and not yet taken: here the driver puts what it fetches.

    What is dropped without being taken to its end is freed at once: the driver's iterator
    and what it iterates refer to each other, and megabytes would wait for the collector,
    which counts objects and not what they weigh.
    """

    def __init__(self) -> None:
        super().__init__()
        self._unpacked: dict[TopicPartition, Any] = {}

    def __setitem__(self, partition: TopicPartition, fetched: Any) -> None:
        if isinstance(fetched, FetchResult):
            unpacked = self._unpacked[partition] = fetched._partition_records
            unpacked._consumer_record = _record
        super().__setitem__(partition, fetched)

    def __delitem__(self, partition: TopicPartition) -> None:
        super().__delitem__(partition)
        self._free(partition)

    def clear(self) -> None:
        super().clear()
        for partition in list(self._unpacked):
            self._free(partition)

    def _free(self, partition: TopicPartition) -> None:
        unpacked = self._unpacked.pop(partition, None)
        if unpacked is not None and unpacked._records_iterator is not None:
            unpacked._records_iterator.close()


def _record(_: TopicPartition, theirs: Any) -> Record:
    """Turn what the driver unpacked into one record of ours."""
    headers = theirs.headers
    # Not Record(…): the class's own constructor takes twice as long.
    return _new(
        Record,
        (
            theirs.offset,
            theirs.timestamp,
            theirs.key,
            theirs.value,
            tuple(headers) if headers else (),
        ),
    )
