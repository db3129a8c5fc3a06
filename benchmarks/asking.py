"""Questions to a log of some days of the simulated year, in one shard."""

import time
from collections.abc import Callable, Coroutine
from pathlib import Path
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
from audit.journal import last_commit
from audit.refolding import Asked
from audit.snapshots import write_snapshot
from benchmarks.logs import opened
from benchmarks.market import contracts
from benchmarks.trial import EXTRA, start
from benchmarks.year import A_DAY, Said, Year, users
from eventlog.port import Entry, EventLog, Partition, Record, ShardWriter
from processor.core.batch import fold_batch
from schemas.journal import FoldSettings
from schemas.topics import CHANGES, RAW

_LOG_ID = "0" * 32
_ASKED = 20


async def fill(args: dict[str, Any]) -> int:
    """Write the days, a commit a round, with a snapshot a day."""
    year, standing = Year(args["tokens"], args["accounts"]), new_standing(0)
    standing.state.start_at(dict.fromkeys(RAW, 0))
    async with opened(args) as log:
        await log.create(specs(partitions=1, audit_days=0))
        start()
        async with log.own(0) as writer:
            for number, said in enumerate(year.rounds(args["days"]), start=1):
                await _commit(log, writer, standing, said)
                if number % A_DAY == 0:
                    await _snapshot(log, standing)
    return standing.observations


async def _commit(
    log: EventLog, writer: ShardWriter, standing: Standing, said: list[Said]
) -> None:
    inputs = []
    for topic in RAW:
        entries = [(0, Entry(key, value)) for name, key, value in said if name == topic]
        if entries:
            offsets = await log.append(topic, entries)
            now_ms = time.time_ns() // 1_000_000
            records = [
                Record(offset, now_ms, entry.key, entry.value)
                for offset, (_, entry) in zip(offsets, entries, strict=True)
            ]
            inputs.append((topic, records))
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
    ends = await log.ends([Partition(topic, 0) for topic in SOURCES])
    places = {at.topic: end for at, end in ends.items()}
    commit = standing.state.position.commit
    await write_snapshot(
        log, standing, places, generation=1, snapshot_id=f"{commit:032x}"
    )


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
    EXTRA["bytes"] = path.stat().st_size
    return count


async def explain_prices(args: dict[str, Any]) -> int:
    """Explain the newest price of some tokens."""
    ids = contracts(args["tokens"])
    return await _explain(args, [f"price:{each}" for each in ids[:_ASKED]])


async def explain_balances(args: dict[str, Any]) -> int:
    """Explain the newest balance of some users."""
    ids, owners = contracts(args["tokens"]), users(args["accounts"])
    asked = [
        f"balance:{owner}:{ids[n % len(ids)]}"
        for n, owner in enumerate(owners[:_ASKED])
    ]
    return await _explain(args, asked)


async def _explain(args: dict[str, Any], asked: list[str]) -> int:
    async with opened(args) as log:
        newest = await last_commit(log, 0)
        last = newest.said.commit if newest else 0
        with open_index(Path(args["index"]), log_id=_LOG_ID) as index:
            start()
            await _timed(
                [_one(log, Asked(log, index, 0), text, last) for text in asked]
            )
    return len(asked)


def _one(
    log: EventLog, asked: Asked, text: str, last: int
) -> Callable[[], Coroutine[Any, Any, None]]:
    async def one() -> None:
        key = subject_in(text)
        assert isinstance(key, Key)  # noqa: S101 - a benchmark
        await extend_index(log, asked.index, 0)
        await explain(asked, key, commit=last)

    return one


async def as_of(args: dict[str, Any]) -> int:
    """Build the table at the last commit, from the last snapshot; return its size."""
    async with opened(args) as log:
        newest = await last_commit(log, 0)
        last = newest.said.commit if newest else 0
        start()
        rows = 0

        async def one() -> None:
            nonlocal rows
            rows = len(await table_at(log, 0, last - 1))

        await _timed([one] * 3)
    return rows


async def _timed(questions: list[Callable[[], Coroutine[Any, Any, None]]]) -> None:
    """Note the median and the longest time of a question, in seconds."""
    took = []
    for question in questions:
        began = time.perf_counter()
        await question()
        took.append(time.perf_counter() - began)
    EXTRA.update({"median_s": median(took), "longest_s": max(took)})
