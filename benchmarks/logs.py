# mypy: allow-untyped-calls
"""Appending to and reading from each log, beside the bare driver doing the same."""

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from benchmarks.trial import start
from eventlog.kafka import KafkaConfig, open_kafka
from eventlog.kafka.batches import BATCH_BYTES
from eventlog.port import Cleanup, Entry, EventLog, Partition, TopicSpec, read_to
from eventlog.sqlite import SqliteConfig, open_sqlite

TOPIC = "bench"
BATCH = 5_000
_VALUE_BYTES = 190


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def entries(count: int) -> list[Entry]:
    """Return records of about 190 bytes."""
    return [
        Entry(b"key-%06d" % (n % 600), b"%09d" % n + b"v" * (_VALUE_BYTES - 9))
        for n in range(count)
    ]


def in_batches(made: Sequence[Entry]) -> Iterator[Sequence[Entry]]:
    for at in range(0, len(made), BATCH):
        yield made[at : at + BATCH]


@contextlib.asynccontextmanager
async def opened(args: dict[str, Any]) -> AsyncIterator[EventLog]:
    """Open the log that the arguments name: ``sqlite`` (a path) or ``kafka``."""
    if "sqlite" in args:
        config = SqliteConfig(path=Path(args["sqlite"]), now_ms=now_ms)
        async with open_sqlite(config) as log:
            yield log
    else:
        async with open_kafka(_kafka(args)) as log:
            yield log


def _kafka(args: dict[str, Any]) -> KafkaConfig:
    return KafkaConfig(bootstrap=args["kafka"], prefix=args["prefix"])


async def prepare(args: dict[str, Any]) -> int:
    """Create the topic, and fill it with ``fill`` records."""
    spec = TopicSpec(TOPIC, 1, Cleanup(compact=False, retention_ms=None))
    async with opened(args) as log:
        await log.create([spec])
        for part in in_batches(entries(args.get("fill", 0))):
            await log.append(TOPIC, [(0, entry) for entry in part])
    return 0


async def append(args: dict[str, Any]) -> int:
    made = [(0, entry) for entry in entries(args["count"])]
    async with opened(args) as log:
        start()
        for at in range(0, len(made), BATCH):
            await log.append(TOPIC, made[at : at + BATCH])
    return len(made)


async def commit(args: dict[str, Any]) -> int:
    made = entries(args["count"])
    async with opened(args) as log, log.own(0) as writer:
        start()
        for part in in_batches(made):
            await writer.commit({TOPIC: part})
    return len(made)


async def read(args: dict[str, Any]) -> int:
    partition = Partition(TOPIC, 0)
    count = 0
    async with opened(args) as log, log.reader({partition: 0}) as reader:
        ends = await log.ends([partition])
        start()
        async for batches in read_to(reader, ends, max_records=BATCH):
            for records in batches.values():
                for _, _, _, value, _ in records:
                    count += value is not None
    return count


# ---- the same by the driver alone


def _bare(path: str) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = NORMAL")
    db.execute("PRAGMA wal_autocheckpoint = 4000")
    db.execute(
        "CREATE TABLE IF NOT EXISTS records (id INTEGER PRIMARY KEY,"
        " time INTEGER NOT NULL, log_time INTEGER, key BLOB, value BLOB, headers BLOB)"
    )
    return db


async def bare_sqlite_append(args: dict[str, Any]) -> int:
    made = entries(args["count"])
    db = _bare(args["sqlite"])
    start()
    (at,) = db.execute("SELECT coalesce(max(id) + 1, 0) FROM records").fetchone()
    for part in in_batches(made):
        time_ms = now_ms()
        db.execute("BEGIN IMMEDIATE")
        db.executemany(
            "INSERT INTO records VALUES (?, ?, NULL, ?, ?, NULL)",
            [(n, time_ms, e.key, e.value) for n, e in enumerate(part, at)],
        )
        db.execute("COMMIT")
        at += len(part)
    return len(made)


async def bare_sqlite_read(args: dict[str, Any]) -> int:
    db = _bare(args["sqlite"])
    start()
    at = count = 0
    query = (
        "SELECT id, time, key, value, headers FROM records"
        " WHERE id >= ? ORDER BY id LIMIT ?"
    )
    while rows := db.execute(query, (at, BATCH)).fetchall():
        for _, _, _, value, _ in rows:
            count += value is not None
        at = rows[-1][0] + 1
    return count


@contextlib.asynccontextmanager
async def _producer(
    args: dict[str, Any], transactional_id: str | None
) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(
        bootstrap_servers=args["kafka"],
        acks="all",
        enable_idempotence=True,
        transactional_id=transactional_id,
        compression_type=_kafka(args).compression,
        # Ours: larger ones cost both page faults, and only we would have avoided them.
        max_batch_size=BATCH_BYTES,
    )
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


async def _send(producer: AIOKafkaProducer, topic: str, part: Sequence[Entry]) -> None:
    answers = []
    builder = producer.create_batch()
    for entry in part:
        if builder.append(timestamp=None, key=entry.key, value=entry.value) is None:
            answers.append(await producer.send_batch(builder, topic, partition=0))
            builder = producer.create_batch()
            builder.append(timestamp=None, key=entry.key, value=entry.value)
    answers.append(await producer.send_batch(builder, topic, partition=0))
    await asyncio.wait(answers)
    for answer in answers:
        answer.result()


async def bare_kafka_append(args: dict[str, Any]) -> int:
    made = entries(args["count"])
    async with _producer(args, None) as producer:
        start()
        for part in in_batches(made):
            await _send(producer, args["prefix"] + TOPIC, part)
    return len(made)


async def bare_kafka_commit(args: dict[str, Any]) -> int:
    made = entries(args["count"])
    async with _producer(args, args["prefix"] + "bare") as producer:
        start()
        for part in in_batches(made):
            await producer.begin_transaction()
            await _send(producer, args["prefix"] + TOPIC, part)
            await producer.commit_transaction()
    return len(made)


async def bare_kafka_read(args: dict[str, Any]) -> int:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=args["kafka"],
        group_id=None,
        enable_auto_commit=False,
        isolation_level="read_committed",
        auto_offset_reset="none",
        fetch_max_wait_ms=50,
    )
    await consumer.start()
    try:
        partition = TopicPartition(args["prefix"] + TOPIC, 0)
        consumer.assign([partition])
        consumer.seek(partition, 0)
        start()
        count = 0
        while count < args["count"]:
            fetched = await consumer.getmany(timeout_ms=1_000, max_records=BATCH)
            for records in fetched.values():
                for record in records:
                    count += record.value is not None
    finally:
        await consumer.stop()
    return count
