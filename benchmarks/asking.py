"""Questions to a log of some days of the simulated year, in one shard."""

import resource
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

from app.topics import specs
from audit.as_of import table_at
from audit.commits import SOURCES
from audit.core.subjects import Key, subject_in
from audit.core.table import Standing, new_standing, put
from audit.explain import explain
from audit.index import open_index
from audit.indexing import extend_index
from audit.journal import last_commit, open_lookup
from audit.picking import NEAR, NEAR_IN_A_FILE
from audit.refolding import Asked
from audit.snapshots import write_snapshot
from audit.verify import VerifyConfig, verify_shard
from benchmarks.logs import opened
from benchmarks.market import contracts
from benchmarks.trial import EXTRA, start
from benchmarks.year import A_DAY, Said, Year, users
from eventlog.port import Entry, EventLog, Partition, Reader, Record, ShardWriter
from processor.core.batch import fold_batch
from schemas.journal import FoldSettings
from schemas.topics import CHANGES, RAW

_LOG_ID = "0" * 32
_ASKED = 20
Inputs = list[tuple[str, list[Record]]]


async def fill(args: dict[str, Any]) -> int:
    """Write the days, a commit a round, with a snapshot a day."""
    year, standing = Year(args["tokens"], args["accounts"]), new_standing(0)
    async with opened(args) as log:
        await log.create(specs(partitions=1, audit_days=0))
        start()
        raw = dict.fromkeys((Partition(topic, 0) for topic in RAW), 0)
        async with log.own(0) as writer, log.reader(raw) as reader:
            for number, said in enumerate(year.rounds(args["days"]), start=1):
                inputs = await _heard(log, reader, said)
                await _commit(writer, standing, inputs)
                if number % A_DAY == 0:
                    await _snapshot(log, standing)
    return standing.observations


async def _heard(log: EventLog, reader: Reader, said: list[Said]) -> Inputs:
    """Append what was said and read it back, for the log says when it took it."""
    for topic in RAW:
        entries = [(0, Entry(key, value)) for name, key, value in said if name == topic]
        if entries:
            await log.append(topic, entries)
    found: dict[str, list[Record]] = {topic: [] for topic in RAW}
    while sum(map(len, found.values())) < len(said):
        batches = await reader.read(max_records=len(said), wait_s=1.0)
        for at, records in batches.items():
            found[at.topic] += records
    return [(topic, records) for topic, records in found.items() if records]


async def _commit(writer: ShardWriter, standing: Standing, inputs: Inputs) -> None:
    batch = fold_batch(standing.state, inputs, settings=FoldSettings())
    made = {
        topic: [Entry(*each) for each in entries]
        for topic, entries in batch.entries.items()
        if entries
    }
    await writer.commit(made)
    batch.apply()
    for key, value, _ in batch.entries[CHANGES]:
        put(standing.table, key or b"", value, commit=batch.record.commit)
    standing.observations += sum(batch.read.values())


async def _snapshot(log: EventLog, standing: Standing) -> None:
    places = {topic: await _next(log, Partition(topic, 0)) for topic in SOURCES}
    commit = standing.state.position.commit
    await write_snapshot(
        log, standing, places, generation=1, snapshot_id=f"{commit:032x}"
    )


async def _next(log: EventLog, at: Partition) -> int:
    """Return the offset after the last record: on a broker others may follow it."""
    async with open_lookup(log, at) as lookup:
        last = await lookup.last(lambda _: True)
    return last.offset + 1 if last else 0


async def index(args: dict[str, Any]) -> int:
    """Index the log from nothing; note the size of the file."""
    path, count = Path(args["index"]), 0

    def counted(step: int) -> None:
        nonlocal count
        count += step

    async with opened(args) as log:
        start()
        with open_index(path, log_id=_LOG_ID, anew=True) as made:
            await extend_index(log, made, 0, progress=counted)
    EXTRA.update({"bytes": path.stat().st_size, "rss_bytes": _rss_bytes()})
    return count


async def verify_late(args: dict[str, Any]) -> int:
    """Verify the last day, from the snapshot before it, and the end of the log."""
    async with opened(args) as log:
        last = await _last(log)
        start()
        config = VerifyConfig(first=max(1, last - A_DAY + 1))
        report = await verify_shard(log, 0, config=config)
    if report.difference is not None or report.last != last:
        raise AssertionError(f"not as derived: {report}")
    EXTRA["rss_bytes"] = _rss_bytes()
    return report.observations


async def explain_prices(args: dict[str, Any]) -> int:
    """Explain the price of some tokens, each after a commit drawn at random."""
    ids = contracts(args["tokens"])
    return await _explain(args, [f"price:{each}" for each in ids[:_ASKED]])


async def explain_balances(args: dict[str, Any]) -> int:
    """Explain the balance of some users, each after a commit drawn at random."""
    ids, owners = contracts(args["tokens"]), users(args["accounts"])
    asked = [
        f"balance:{owner}:{ids[n % len(ids)]}"
        for n, owner in enumerate(owners[:_ASKED])
    ]
    return await _explain(args, asked)


async def _explain(args: dict[str, Any], asked: list[str]) -> int:
    draw = Random(1)
    async with opened(args) as log:
        last = await _last(log)
        near = NEAR_IN_A_FILE if "sqlite" in args else NEAR
        with open_index(Path(args["index"]), log_id=_LOG_ID) as index:
            start()
            await _timed(
                [
                    _one(Asked(log, index, 0, near=near), text, draw.randint(1, last))
                    for text in asked
                ]
            )
    return len(asked)


def _one(
    asked: Asked, text: str, commit: int
) -> Callable[[], Coroutine[Any, Any, None]]:
    async def one() -> None:
        key = subject_in(text)
        assert isinstance(key, Key)  # noqa: S101 - a benchmark
        await extend_index(asked.log, asked.index, 0)
        await explain(asked, key, commit=commit)

    return one


async def as_of(args: dict[str, Any]) -> int:
    """Build the table after commits drawn at random; return the rows of all."""
    draw, rows = Random(2), 0
    async with opened(args) as log:
        last = await _last(log)

        async def one() -> None:
            nonlocal rows
            rows += len(await table_at(log, 0, draw.randint(1, last)))

        start()
        await _timed([one] * _ASKED)
    return rows


async def _last(log: EventLog) -> int:
    newest = await last_commit(log, 0)
    return newest.said.commit if newest else 0


async def _timed(questions: list[Callable[[], Coroutine[Any, Any, None]]]) -> None:
    """Note the times of a question in seconds, the longest CPU of one, and the memory."""
    took, used = [], []
    for question in questions:
        began, began_cpu = time.perf_counter(), time.process_time()
        await question()
        took.append(time.perf_counter() - began)
        used.append(time.process_time() - began_cpu)
    EXTRA.update(
        {
            "median_s": median(took),
            "longest_s": max(took),
            "longest_cpu_s": max(used),
            "rss_bytes": _rss_bytes(),
        }
    )


def _rss_bytes() -> float:
    """Return the most memory that this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0
