# mypy: allow-untyped-calls
"""A reader that is there all the while, past the proxy, and remembers what it saw.

On a broker it is the bare driver, read-committed: so a fault of our own reader cannot
hide what was visible. On SQLite it is our reader, for want of another.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from json import loads

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from eventlog.port import EventLog, LogUnavailable, Partition, Record
from schemas.topics import CHANGES, JOURNAL, LATEST
from tests.chaos.stage import SHARDS, open_log, partitions
from tests.chaos.trail import Trail
from tests.support.logs import Place

WATCHED = (CHANGES, LATEST, JOURNAL)
_WAIT_MS, _AT_ONCE = 100, 10_000

Batch = Iterable[tuple[Partition, Iterable[Record]]]


class Watcher:
    """What was visible, record by record, and when each shard committed.

    ``ends`` is how far the raw topics are folded, as the journals say.
    """

    def __init__(self) -> None:
        self.trails: dict[Partition, Trail] = defaultdict(Trail)
        self.commits_s: dict[int, list[float]] = {shard: [] for shard in SHARDS}
        self.ends: dict[Partition, int] = {}
        self.positions: dict[Partition, int] = {}
        self._news = asyncio.Event()

    def see(self, batch: Batch, positions: Mapping[Partition, int]) -> None:
        """Remember records, what they tell, and where the reader stands after them."""
        now_s = asyncio.get_running_loop().time()
        for at, records in batch:
            trail = self.trails[at]
            for record in records:
                trail.add(record.offset, record.key, record.value, record.headers)
                if at.topic == JOURNAL:
                    self._commit(at.number, record.value or b"")
            if at.topic == JOURNAL:
                self.commits_s[at.number].append(now_s)
        self.positions.update(positions)
        self._news.set()

    def _commit(self, shard: int, value: bytes) -> None:
        for topic, stretch in loads(value)["inputs"].items():
            self.ends[Partition(topic, shard)] = stretch["end"]

    async def folded(self, ends: Mapping[Partition, int]) -> None:
        """Wait until all that stands before ``ends`` is folded."""
        while any(self.ends.get(at, 0) < end for at, end in ends.items()):
            await self._next()

    async def read_to(self, ends: Mapping[Partition, int]) -> None:
        """Wait until everything before ``ends`` was seen."""
        while any(self.positions.get(at, 0) < end for at, end in ends.items()):
            await self._next()

    async def _next(self) -> None:
        self._news.clear()
        await self._news.wait()


@asynccontextmanager
async def watching(place: Place) -> AsyncIterator[Watcher]:
    """Watch a log from its beginning."""
    watcher = Watcher()
    watch = _watch_broker if place.kind == "kafka" else _watch_file
    async with asyncio.TaskGroup() as group:
        task = group.create_task(watch(place, watcher), name="watcher")
        yield watcher
        task.cancel()


async def _watch_broker(place: Place, watcher: Watcher) -> None:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=place.address,
        enable_auto_commit=False,
        auto_offset_reset="none",
        isolation_level="read_committed",
        fetch_max_wait_ms=50,
        max_partition_fetch_bytes=2 * 1024 * 1024,
        request_timeout_ms=5_000,
        retry_backoff_ms=100,
    )
    await consumer.start()
    try:
        names = {
            TopicPartition(f"{place.prefix}{at.topic}", at.number): at
            for at in partitions(*WATCHED)
        }
        consumer.assign(list(names))
        for name in names:
            consumer.seek(name, 0)
        while True:
            got = await consumer.getmany(timeout_ms=_WAIT_MS, max_records=_AT_ONCE)
            seen = [(names[name], map(_ours, records)) for name, records in got.items()]
            stands = {at: await consumer.position(name) for name, at in names.items()}
            watcher.see(seen, stands)
    finally:
        await consumer.stop()


def _ours(record: "ConsumerRecord[bytes, bytes]") -> Record:
    return Record(
        record.offset, record.timestamp, record.key, record.value, record.headers
    )


async def _watch_file(place: Place, watcher: Watcher) -> None:
    async with open_log(place) as log:
        await _watch_log(log, watcher)


async def _watch_log(log: EventLog, watcher: Watcher) -> None:
    watched = partitions(*WATCHED)
    async with log.reader(dict.fromkeys(watched, 0)) as reader:
        while True:
            try:
                got = await reader.read(max_records=_AT_ONCE, wait_s=_WAIT_MS / 1_000)
            except LogUnavailable:
                await asyncio.sleep(_WAIT_MS / 1_000)
            else:
                stands = {at: reader.position(at) for at in watched}
                watcher.see(got.items(), stands)
