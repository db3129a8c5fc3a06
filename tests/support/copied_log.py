# mypy: allow-untyped-calls
"""A log on a broker copied to another prefix, append times and all, as a forger would."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from uuid import uuid4

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from eventlog.port import Partition, Record
from schemas.topics import SHARDS
from tests.support.logs import Place, every, open_at, read_all
from tests.support.pipeline import TOPICS

# What is written instead of the records of one partition.
Forge = Callable[[Partition, list[Record]], Sequence[Record]]


async def copy_of(place: Place, forge: Forge = lambda _, records: records) -> Place:
    """Copy all that stands in a log; return where the copy is."""
    copy = replace(place, prefix=f"t{uuid4().hex[:12]}.")
    await _create(copy)
    parts = every(*(topic for topic in TOPICS if topic.name != SHARDS))
    producer = AIOKafkaProducer(bootstrap_servers=copy.address)
    await producer.start()
    try:
        async with open_at(place) as source:
            found = await read_all(source, parts)
        for at, records in found.items():
            await _write(producer, f"{copy.prefix}{at.topic}", at, forge(at, records))
    finally:
        await producer.stop()
    return copy


async def _create(place: Place) -> None:
    """Create topics in which a producer says what the append times are."""
    settings = {"message.timestamp.type": "CreateTime", "retention.ms": "-1"}
    admin = AIOKafkaAdminClient(bootstrap_servers=place.address)
    await admin.start()
    try:
        await admin.create_topics(
            [
                NewTopic(
                    f"{place.prefix}{t.name}", t.partitions, 1, topic_configs=settings
                )
                for t in TOPICS
            ]
        )
    finally:
        await admin.close()


async def _write(
    producer: AIOKafkaProducer, topic: str, at: Partition, records: Sequence[Record]
) -> None:
    sent = [
        await producer.send(
            topic,
            record.value,
            record.key,
            partition=at.number,
            timestamp_ms=record.time_ms,
            headers=list(record.headers),
        )
        for record in records
    ]
    for future in sent:
        await future
