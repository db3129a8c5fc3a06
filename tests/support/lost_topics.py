# mypy: allow-untyped-calls
"""Topics deleted behind the product's back, and records of them."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.structs import TopicPartition

from eventlog.port import Partition
from eventlog.sqlite.schema import OFFSET_BITS
from tests.support.logs import LONG_S, Place


async def delete_topic(place: Place, name: str) -> None:
    """Delete a topic with the log's own tools; return when it is gone."""
    if place.kind == "sqlite":
        _delete_from_file(Path(place.address), name)
        return
    admin = AIOKafkaAdminClient(bootstrap_servers=place.address)
    await admin.start()
    try:
        await admin.delete_topics([f"{place.prefix}{name}"])
        async with asyncio.timeout(LONG_S):
            while f"{place.prefix}{name}" in await admin.list_topics():
                pass  # asking takes turns of the loop
    finally:
        await admin.close()


def _delete_from_file(path: Path, name: str) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        (topic,) = db.execute(
            "SELECT id FROM topics WHERE name = ?", (name,)
        ).fetchone()
        db.execute(
            "DELETE FROM records WHERE id >> ? IN"
            " (SELECT id FROM partitions WHERE topic = ?)",
            (OFFSET_BITS, topic),
        )
        db.execute("DELETE FROM partitions WHERE topic = ?", (topic,))
        db.execute("DELETE FROM topics WHERE id = ?", (topic,))


async def delete_records(place: Place, at: Partition, *, before: int) -> None:
    """Delete the oldest records of a compacted partition.

    A broker does that only while the policy of the topic has deletion in it.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=place.address)
    await admin.start()
    try:
        name = f"{place.prefix}{at.topic}"
        await admin.alter_configs([_policy(name, "compact,delete")])
        theirs = TopicPartition(name, at.number)
        await admin.delete_records({theirs: RecordsToDelete(before_offset=before)})
        await admin.alter_configs([_policy(name, "compact")])
    finally:
        await admin.close()


def _policy(name: str, policy: str) -> ConfigResource:
    # What is not named goes back to the broker's default.
    settings = {
        "cleanup.policy": policy,
        "retention.ms": "-1",
        "message.timestamp.type": "LogAppendTime",
    }
    return ConfigResource(ConfigResourceType.TOPIC, name, settings)
