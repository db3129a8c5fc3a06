# mypy: allow-untyped-calls
"""Reading where a broker removed what stood at the end of a partition.

Apache Kafka never does; brokers that compact the end do. So the driver is played here.
"""

from typing import NamedTuple

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CorruptRecordException

from eventlog.kafka.config import KafkaConfig
from eventlog.kafka.offsets import Offsets
from eventlog.kafka.reader import KafkaReader
from eventlog.port import LogCorrupt, LogUnavailable, Partition, Record, read_to

ONLY = Partition("t", 0)
THEIRS = TopicPartition("t", 0)


class Answer(NamedTuple):
    """What one fetch brings: records, where the driver stands then, the stable end."""

    offsets: tuple[int, ...]
    position: int
    stable_end: int


class ScriptedConsumer(AIOKafkaConsumer):
    """The driver, with fetches answered from a list; the last one for ever."""

    def __init__(self, *answers: Answer) -> None:
        super().__init__(group_id=None)
        self._closed = True  # nothing to stop: it never connects
        self._answers = list(answers)
        self._current = Answer((), 0, 0)
        self._at, self._fetches = 0, 0
        self.answering = True

    async def getmany(  # type: ignore[no-untyped-def]
        self, *partitions, timeout_ms=0, max_records=None
    ):
        if not timeout_ms or not self.answering:
            return {}
        if self._answers:
            self._current = self._answers.pop(0)
        self._fetches += 1
        offsets, self._current = (
            self._current.offsets,
            self._current._replace(offsets=()),
        )
        self._at = max(self._at, self._current.position)
        records = [Record(at, 0, b"k", b"v") for at in offsets]
        return {THEIRS: records} if records else {}

    async def position(self, partition):  # type: ignore[no-untyped-def]
        return self._at

    def seek(self, partition, offset):  # type: ignore[no-untyped-def]
        self._at = offset

    def last_stable_offset(self, partition):  # type: ignore[no-untyped-def]
        return self._current.stable_end

    def last_poll_timestamp(self, partition):  # type: ignore[no-untyped-def]
        return self._fetches


def reader_of(
    consumer: AIOKafkaConsumer, *, silence_limit_s: float = 10
) -> KafkaReader:
    config = KafkaConfig("nowhere:1", silence_limit_s=silence_limit_s)
    offsets = Offsets(config, consumer)
    return KafkaReader(
        config=config, consumer=consumer, offsets=offsets, positions={ONLY: 0}
    )


async def test_a_hole_at_the_end_is_passed() -> None:
    consumer = ScriptedConsumer(Answer((0, 1), position=2, stable_end=9))
    reader = reader_of(consumer)
    seen = [b async for b in read_to(reader, {ONLY: 9})]
    assert [r.offset for batches in seen for r in batches[ONLY]] == [0, 1]
    assert reader.position(ONLY) == 9


async def test_a_record_that_comes_late_is_not_taken_for_a_hole() -> None:
    consumer = ScriptedConsumer(
        Answer((), position=0, stable_end=0),
        Answer((), position=0, stable_end=0),
        Answer((4,), position=5, stable_end=5),
    )
    reader = reader_of(consumer)
    batches = await reader.read(max_records=10, wait_s=5)
    assert [r.offset for r in batches[ONLY]] == [4]


async def test_a_broker_that_answers_nothing_is_reported() -> None:
    consumer = ScriptedConsumer()
    consumer.answering = False
    reader = reader_of(consumer, silence_limit_s=0.0)
    with pytest.raises(LogUnavailable, match="silent"):
        await reader.read(max_records=1, wait_s=5)


async def test_a_record_that_does_not_check_is_a_corrupt_log() -> None:
    class Broken(ScriptedConsumer):
        async def getmany(self, *partitions, **options):  # type: ignore[no-untyped-def]
            raise CorruptRecordException("Invalid CRC")

    with pytest.raises(LogCorrupt, match="CRC"):
        await reader_of(Broken()).read(max_records=1, wait_s=1)
