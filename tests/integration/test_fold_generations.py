"""A log in a file whose first half an earlier generation of the fold has written."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from app.cli import main
from app.topics import apply
from eventlog.port import Entry, EventLog, Partition
from processor.core.batch import GENERATION_1, fold_batch
from processor.core.shard_state import ShardState
from schemas.journal import FoldSettings
from schemas.topics import JOURNAL, RAW
from tests.support.audited import observations
from tests.support.folded import WANTED, fold
from tests.support.history_noise import Raw
from tests.support.logs import PARTITIONS, Place, now_ms, open_at, read_one
from tests.support.pipeline import append


async def a_log_of_both(path: Path) -> None:
    seen = list(observations())
    half = len(seen) // 2
    async with open_at(Place("sqlite", str(path))) as log:
        await apply(log, WANTED, new_id="0123456789abcdef" * 2, now_ms=now_ms)
        await fold_by_generation_1(log, seen[:half])
        await fold(log, seen[half:], inputs=5)
        generations = [await generations_of(log, shard) for shard in range(PARTITIONS)]
    both = [found for found in generations if {1, 2} <= set(found)]
    assert both
    assert all(found == sorted(found) for found in generations)


async def fold_by_generation_1(log: EventLog, seen: Sequence[Raw]) -> None:
    """Commit what a processor of that time would have committed."""
    await append(log, seen)
    for shard in range(PARTITIONS):
        state = ShardState(shard)
        state.start_at(dict.fromkeys(RAW, 0))
        inputs = [
            (topic, await read_one(log, Partition(topic, shard))) for topic in RAW
        ]
        inputs = [(topic, records) for topic, records in inputs if records]
        if not inputs:
            continue
        batch = fold_batch(
            state, inputs, settings=FoldSettings(), generation=GENERATION_1
        )
        async with log.own(shard) as writer:
            await writer.commit(
                {
                    topic: [Entry(*entry) for entry in entries]
                    for topic, entries in batch.entries.items()
                    if entries
                }
            )


async def generations_of(log: EventLog, shard: int) -> list[int]:
    journal = await read_one(log, Partition(JOURNAL, shard))
    return [1 if b'"commit/1"' in (record.value or b"") else 2 for record in journal]


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "log.sqlite"
    asyncio.run(a_log_of_both(path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STACKS_FEED_LOG", str(path))
    return path


def test_it_is_what_the_folds_make_of_it(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["audit", "verify", "--jobs", "1"]) == 0
    assert "the log is what the fold makes of it" in capsys.readouterr().out
    # The half of generation 2 would be the same; that of generation 1 has means.
    assert main(["audit", "diff", "--generation", "2", "--fail", "--jobs", "1"]) == 1
