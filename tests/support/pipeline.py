"""From raw topics to published values and back: what a test feeds, awaits and reads."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple

from app.topics import specs
from eventlog.partition import partition_of
from eventlog.port import Entry, EventLog, Partition, Reader, Record
from schemas.topics import (
    CHANGES,
    JOURNAL,
    LATEST,
    RAW,
    REJECTS,
    partition_key,
)
from tests.support import history
from tests.support.history_noise import Raw as RawEntry
from tests.support.history_noise import noise
from tests.support.logs import PARTITIONS, read_all
from tests.support.oracle.derive import DEFAULTS, Derived, Raw, RawRecord, derive
from tests.support.oracle.journal import verify_journal

# Records of ``latest`` that no fold makes.
_OF_SHARDS_AND_LOG = (b"watermark:", b"observed:", b"unquoted:", b"terms:", b"log:")

TOPICS = specs(partitions=PARTITIONS, audit_days=0)
SHARDS = range(PARTITIONS)
# Long enough for a loaded machine; what takes longer is taken for stuck.
LIMIT_S = 60.0
_CHUNK = 2_000
# Later than every moment of the history: its records are not from the future.
_APPENDED_MS = 1_800_000_000_000

# How far something is: the position in each partition of a raw topic.
Ends = dict[tuple[str, int], int]


class Told(NamedTuple):
    """A history to replay, and all that must come of it."""

    entries: Sequence[RawEntry]
    raw: Raw
    derived: Mapping[int, Derived]


@cache
def told() -> Told:
    """Return the whole history with its noise, folded by the second implementation."""
    seen = list(history.observations())
    return tell([*((o.topic, o.key, o.value) for o in seen), *noise(seen)])


def tell(entries: Sequence[RawEntry]) -> Told:
    """Return what must come of entries appended in this order to an empty log."""
    raw: dict[tuple[str, int], list[RawRecord]] = {
        (topic, shard): [] for topic in RAW for shard in SHARDS
    }
    for topic, key, value in entries:
        records = raw[topic, shard_of(key)]
        records.append(RawRecord(len(records), _APPENDED_MS, key, value))
    return Told(entries, raw, derive(raw, DEFAULTS))


def shard_of(key: bytes | None) -> int:
    return partition_of(partition_key(key or b""), PARTITIONS)


async def append(log: EventLog, entries: Sequence[RawEntry]) -> Ends:
    """Append entries in their order; return how far each partition is then."""
    ends: Ends = {}
    for start in range(0, len(entries), _CHUNK):
        for topic, wanted in _by_topic(entries[start : start + _CHUNK]).items():
            offsets = await log.append(topic, wanted)
            for (shard, _), offset in zip(wanted, offsets, strict=True):
                ends[topic, shard] = offset + 1
    return ends


def _by_topic(entries: Iterable[RawEntry]) -> dict[str, list[tuple[int, Entry]]]:
    found: dict[str, list[tuple[int, Entry]]] = {}
    for topic, key, value in entries:
        found.setdefault(topic, []).append((shard_of(key), Entry(key, value)))
    return found


class Progress:
    """How far the shards are, by what their journals say."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.ends: Ends = {}
        self.commits = 0

    async def reached(self, ends: Ends) -> None:
        """Wait until all that stands before ``ends`` is folded."""
        async with asyncio.timeout(LIMIT_S):
            while any(self.ends.get(at, 0) < end for at, end in ends.items()):
                await self._read()

    async def _read(self) -> None:
        batches = await self._reader.read(max_records=1_000, wait_s=0.5)
        for shard, records in batches.items():
            self.commits += len(records)
            for record in records:
                said = json.loads(record.value or b"")["inputs"]
                for topic, stretch in said.items():
                    self.ends[topic, shard.number] = stretch["end"]


@asynccontextmanager
async def follow_progress(log: EventLog) -> AsyncIterator[Progress]:
    """Follow the journals of all shards from their beginning."""
    positions = await log.oldest(_partitions(JOURNAL))
    async with log.reader(positions) as reader:
        yield Progress(reader)


@dataclass
class Written:
    """What one shard wrote, and the raw records that it had."""

    changes: list[Record] = field(default_factory=list)
    rejects: list[Record] = field(default_factory=list)
    journal: list[Record] = field(default_factory=list)
    latest: dict[bytes, bytes | None] = field(default_factory=dict)


async def check(log: EventLog, told: Told) -> Counter[str]:
    """Compare the log with what must have come of it; return the decisions."""
    raw = {
        (topic, shard): _raw(records)
        for topic in RAW
        for (_, shard), records in (await read_all(log, _partitions(topic))).items()
    }
    assert _untimed(raw) == _untimed(told.raw)
    decisions: Counter[str] = Counter()
    for shard, written in (await _written(log)).items():
        _check_values(written, told.derived[shard])
        _check_commits(written)
        found = verify_journal(
            [record.value or b"" for record in written.journal],
            raw,
            [(record.key, record.value) for record in written.changes],
            [(record.key, record.value) for record in written.rejects],
            partition=shard,
            settings=DEFAULTS,
        )
        assert found == told.derived[shard].decisions
        decisions.update(found)
    return decisions


def _check_values(written: Written, derived: Derived) -> None:
    found: dict[bytes, list[bytes | None]] = {}
    for record in written.changes:
        found.setdefault(record.key or b"", []).append(record.value)
    expected = derived.per_key()
    assert set(found) == set(expected)
    for key, values in expected.items():
        assert found[key] == values, key
    last = {key: values[-1] for key, values in expected.items()}
    assert {key: written.latest.get(key) for key in last} == last
    assert {key for key, value in written.latest.items() if value} <= set(last)
    refused = [(record.key, record.value or b"") for record in written.rejects]
    assert _by_origin(refused) == _by_origin(derived.rejects)


def _by_origin(
    rejects: Iterable[tuple[bytes | None, bytes]],
) -> dict[str, list[tuple[bytes | None, bytes]]]:
    """Return the rejects of each topic: their order is that of no commit's making."""
    found: dict[str, list[tuple[bytes | None, bytes]]] = {}
    for key, value in rejects:
        found.setdefault(json.loads(value)["origin"][0], []).append((key, value))
    return found


def _check_commits(written: Written) -> None:
    """Each change names the commit that wrote it, each commit as many as it says."""
    told = Counter(dict(record.headers)["commit"] for record in written.changes)
    for record in written.journal:
        said = json.loads(record.value or b"")
        assert told[str(said["commit"]).encode()] == said["published"]["count"]
    assert {record.key for record in written.journal} <= {_shard_key(written)}


def _shard_key(written: Written) -> bytes:
    return str(json.loads(written.journal[0].value or b"")["shard"]).encode()


async def _written(log: EventLog) -> dict[int, Written]:
    found = {shard: Written() for shard in SHARDS}
    for shard, written in found.items():
        written.changes = await _records(log, CHANGES, shard)
        written.rejects = await _records(log, REJECTS, shard)
        written.journal = await _records(log, JOURNAL, shard)
        for record in await _records(log, LATEST, shard):
            key = record.key or b""
            if not key.startswith(_OF_SHARDS_AND_LOG):
                written.latest[key] = record.value
    return found


async def _records(log: EventLog, topic: str, shard: int) -> list[Record]:
    at = Partition(topic, shard)
    return (await read_all(log, [at]))[at]


def _partitions(topic: str) -> list[Partition]:
    return [Partition(topic, shard) for shard in SHARDS]


def _raw(records: Iterable[Record]) -> list[RawRecord]:
    return [RawRecord(r.offset, r.time_ms, r.key, r.value) for r in records]


def _untimed(raw: Raw) -> dict[tuple[str, int], list[RawRecord]]:
    return {at: [r._replace(time_ms=0) for r in records] for at, records in raw.items()}
