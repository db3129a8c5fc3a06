"""Where a test's log lives, how any process opens it, and short ways to ask it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from time import time_ns

from eventlog.port import (
    SHARDS_TOPIC,
    Cleanup,
    Entry,
    EventLog,
    Partition,
    Reader,
    Record,
    TopicSpec,
    read_to,
)
from eventlog.sqlite import SqliteConfig, open_sqlite

OpenHandle = Callable[[], AbstractAsyncContextManager[EventLog]]

PARTITIONS = 3
RAW = TopicSpec("raw", PARTITIONS, Cleanup(compact=False, retention_ms=None))
TABLE = TopicSpec("table", PARTITIONS, Cleanup(compact=True, retention_ms=None))
SHARDS = TopicSpec(SHARDS_TOPIC, PARTITIONS, Cleanup(compact=False, retention_ms=None))
TOPICS = (RAW, TABLE, SHARDS)

LONG_S = 20.0  # how long a test waits for what must come; never how long it takes
SHORT_S = 0.05  # how long a test waits for what must not come


@dataclass(frozen=True, slots=True)
class Place:
    """Where one log is: enough for another process to open it."""

    kind: str
    address: str
    prefix: str = ""


def open_at(place: Place) -> AbstractAsyncContextManager[EventLog]:
    """Open an independent handle on the log at ``place``."""
    if place.kind == "kafka":
        from eventlog.kafka import KafkaConfig, open_kafka  # noqa: PLC0415 - only where a broker is

        return open_kafka(
            KafkaConfig(
                bootstrap=place.address, prefix=place.prefix, session_timeout_ms=6_000
            )
        )
    return open_sqlite(SqliteConfig(Path(place.address), now_ms=now_ms))


def now_ms() -> int:
    return time_ns() // 1_000_000


def raw(number: int) -> Partition:
    return Partition(RAW.name, number)


def table(number: int) -> Partition:
    return Partition(TABLE.name, number)


def every(*topics: TopicSpec) -> tuple[Partition, ...]:
    return tuple(Partition(t.name, n) for t in topics for n in range(t.partitions))


def entry(text: str, key: str | None = "key") -> Entry:
    return Entry(None if key is None else key.encode(), text.encode())


def texts(records: Iterable[Record]) -> list[str]:
    return [record.value.decode() for record in records if record.value is not None]


def contents(records: Iterable[Record]) -> list[Entry]:
    return [Entry(r.key, r.value, tuple(r.headers)) for r in records]


async def append(log: EventLog, partition: Partition, *values: str) -> tuple[int, ...]:
    """Append one record of each text to ``partition``, all under the same key."""
    return await log.append(
        partition.topic, [(partition.number, entry(value)) for value in values]
    )


async def read_all(
    log: EventLog,
    partitions: Sequence[Partition],
    *,
    start: Mapping[Partition, int] | None = None,
    max_records: int = 5_000,
) -> dict[Partition, list[Record]]:
    """Read everything committed, from ``start`` or the oldest, up to the ends."""
    positions = start or await log.oldest(partitions)
    ends = await log.ends(partitions)
    found: dict[Partition, list[Record]] = {p: [] for p in partitions}
    async with log.reader(positions) as reader:
        async for batches in read_to(reader, ends, max_records=max_records):
            for partition, records in batches.items():
                found[partition].extend(records)
    return found


async def read_one(log: EventLog, partition: Partition) -> list[Record]:
    return (await read_all(log, [partition]))[partition]


async def next_records(reader: Reader, partition: Partition) -> list[Record]:
    """Wait for the reader's next records, which must all be of ``partition``."""
    batches = await reader.read(max_records=5_000, wait_s=LONG_S)
    assert set(batches) <= {partition}
    return list(batches.get(partition, ()))
