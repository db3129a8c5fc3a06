"""The processor on a real log: whatever happens to it, it writes what the text asks for."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, cast

import pytest
from prometheus_client import REGISTRY

from eventlog.port import (
    Entry,
    EventLog,
    LogUnavailable,
    OffsetOutOfRange,
    Partition,
    Record,
)
from processor.core.batch import FoldError
from processor.core.observations import READERS
from processor.core.rules import Outcome
from processor.service import run
from runtime.clock import SystemClock
from schemas.base import encode
from schemas.journal import GENESIS, Position
from schemas.states import POSITION_KEY
from schemas.topics import CHANGES, JOURNAL, PRICES_RAW, RAW, STATE
from tests.support.awaiting import eventually
from tests.support.folding import ALPHA, price
from tests.support.logs import Place, open_at, read_one
from tests.support.lossy_log import Fate, LossyLog
from tests.support.pipeline import (
    SHARDS,
    TOPICS,
    Told,
    append,
    check,
    follow_progress,
)
from tests.support.processing import a_part, config_of, processing
from tests.support.troubled import Troubled


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[EventLog]:
    async with open_at(Place("sqlite", str(tmp_path / "log.sqlite"))) as opened:
        await opened.create(TOPICS)
        yield opened


async def folds(log: EventLog, told: Told, *, through: EventLog | None = None) -> None:
    """Append it all while a processor runs, and compare what it wrote."""
    async with follow_progress(log) as progress, processing(through or log):
        await progress.reached(await append(log, told.entries))
    await check(log, told)


async def test_a_log_is_folded_as_the_text_asks_poison_and_all(log: EventLog) -> None:
    told = a_part()
    assert sum(d.decisions["prices.rejected"] for d in told.derived.values())
    await folds(log, told)


async def test_a_processor_goes_on_where_the_one_before_stopped(log: EventLog) -> None:
    told = a_part()
    async with follow_progress(log) as progress:
        for start in range(0, len(told.entries), 250):
            ends = await append(log, told.entries[start : start + 250])
            async with processing(log):
                await progress.reached(ends)
    await check(log, told)


@pytest.mark.parametrize(
    "fates",
    [
        pytest.param([Fate.LOST], id="not written"),
        pytest.param([Fate.UNANSWERED], id="written, nobody knows"),
        pytest.param(
            [Fate.DONE, Fate.UNANSWERED, Fate.LOST, Fate.LOST, Fate.UNANSWERED] * 3,
            id="again and again",
        ),
    ],
)
async def test_a_commit_of_unknown_outcome_counts_once(
    log: EventLog, fates: Sequence[Fate]
) -> None:
    lossy = LossyLog(log, JOURNAL, fates)
    await folds(log, a_part(), through=lossy.as_log())
    assert lossy.fates == []


async def test_a_log_that_is_away_is_waited_for(log: EventLog) -> None:
    away = [LogUnavailable("the test", why="it says so") for _ in range(2)]
    troubled = Troubled(log, member=[*away], own=[*away], read=[*away], oldest=[*away])
    await folds(log, a_part(), through=troubled.as_log())


async def test_a_shard_taken_by_another_is_taken_again_while_it_is_ours(
    log: EventLog,
) -> None:
    told = a_part()
    half = len(told.entries) // 2
    async with follow_progress(log) as progress, processing(log):
        await progress.reached(await append(log, told.entries[:half]))
        for shard in range(3):
            async with log.own(shard):
                pass
        await progress.reached(await append(log, told.entries[half:]))
    await check(log, told)


async def test_two_instances_share_the_work_and_one_takes_over(log: EventLog) -> None:
    told = a_part()
    third = len(told.entries) // 3
    async with follow_progress(log) as progress, processing(log, config_of("a")):
        await progress.reached(await append(log, told.entries[:third]))
        async with processing(log, config_of("b")):
            await progress.reached(await append(log, told.entries[third : 2 * third]))
        await progress.reached(await append(log, told.entries[2 * third :]))
    await check(log, told)


async def test_no_figures_stay_behind_of_shards_that_are_no_longer_ours(
    log: EventLog,
) -> None:
    async with follow_progress(log) as progress, processing(log):
        await progress.reached(await append(log, a_part().entries))
        assert {name for name, shard in figures() if shard == "0"} == FIGURES
    assert not figures()


FIGURES = {
    "stacks_feed_shard_position",
    "stacks_feed_shard_log_time_seconds",
    "stacks_feed_restored_keys",
}


def figures() -> set[tuple[str, str]]:
    """Return which figures are told of which shards."""
    return {
        (family.name, sample.labels["shard"])
        for family in REGISTRY.collect()
        if family.name in FIGURES
        for sample in family.samples
    }


async def test_it_says_what_is_not_yet_well(log: EventLog) -> None:
    away = Troubled(log, member=[LogUnavailable("the test", why="it says so")])
    async with (
        follow_progress(log) as progress,
        processing(away.as_log()) as health,
    ):
        await asyncio.sleep(0)
        assert health.reasons() == {"shards": "this instance is not yet in the group"}
        await progress.reached(await append(log, a_part().entries))
        assert health.reasons() == {}


async def stopped_by(log: EventLog, kind: type[Exception]) -> Exception:
    """Run a processor until it stops by itself; return what stopped it."""
    with pytest.raises(ExceptionGroup) as stopped:
        async with asyncio.timeout(20):
            await run(log, config_of(), SystemClock())
    found = stopped.value.subgroup(kind)
    assert found is not None
    return found.exceptions[0]


async def test_a_bug_stops_the_service_and_names_the_record(
    log: EventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> Outcome:
        raise ZeroDivisionError

    monkeypatch.setitem(cast("dict[str, Any]", READERS), PRICES_RAW, broken)
    await log.append(PRICES_RAW, [(1, Entry(b"key", b"value"))])
    error = await stopped_by(log, FoldError)
    assert str(error) == "the fold failed on prices.raw[1] at offset 0"


async def test_a_position_that_the_log_does_not_hold_stops_the_service(
    log: EventLog,
) -> None:
    """It never starts over: what it skipped or folded twice nobody could tell."""
    position = Position(
        commit=7, chain=GENESIS, log_time=1, positions=dict.fromkeys(RAW, 99)
    )
    async with log.own(0) as writer:
        await writer.commit({STATE: [Entry(POSITION_KEY, encode(position))]})
    error = await stopped_by(log, OffsetOutOfRange)
    assert "offset 99" in str(error)


async def test_a_price_in_doubt_is_a_warning_with_the_id_of_the_token(
    log: EventLog,
) -> None:
    def said(*quotes: tuple[str, str, int]) -> list[tuple[str, bytes, bytes]]:
        events = [price(usd, source, at) for usd, source, at in quotes]
        return [(PRICES_RAW, ALPHA.encode(), encode(event)) for event in events]

    lie = said(("0.6", "a", 1), ("0.6", "b", 1), ("610000", "a", 2))
    async with follow_progress(log) as progress, processing(log) as health:
        await progress.reached(await append(log, lie))
        await eventually(lambda: health.report().warnings)
        warnings = health.report().warnings
        assert warnings.keys() == {"price disagreement"}
        assert f"{ALPHA} (b says 0.6, a says 610000)" in warnings["price disagreement"]
        await progress.reached(await append(log, said(("0.605", "a", 3))))
        await eventually(lambda: not health.report().warnings)
    values = [record.value for at in SHARDS for record in await changes(log, at)]
    assert [json.loads(value or b"")["usd"] for value in values] == ["0.6"]


async def changes(log: EventLog, shard: int) -> list[Record]:
    return await read_one(log, Partition(CHANGES, shard))
