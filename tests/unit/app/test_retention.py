"""How `doctor` learns, from the log alone, what no shard has read and how long it stands."""

import math
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app import retention
from app.retention import Standing, history_margins, standings
from app.topics import specs
from eventlog.port import Entry, EventLog, Partition
from eventlog.sqlite import open_sqlite
from processor.core.batch import fold_batch
from processor.core.retention import Gap
from processor.core.shard_state import ShardState
from processor.retention import HistoryMargin
from schemas.base import encode
from schemas.journal import GENESIS, FoldSettings, Position
from schemas.states import POSITION_KEY
from schemas.topics import JOURNAL, PRICES_RAW, RAW, STATE
from tests.support.clock import ManualClock
from tests.support.folding import ALPHA, price
from tests.support.logs import LONG_S
from tests.support.sqlite_logs import HOUR_MS, HandClock, config_of, drop_all

DAY_MS = 24 * HOUR_MS
SHARD = 1


@pytest.fixture
def clock() -> HandClock:
    return HandClock(ms=10 * DAY_MS)


@pytest.fixture
async def log(tmp_path: Path, clock: HandClock) -> AsyncIterator[EventLog]:
    config = config_of(tmp_path / "log", clock, clean_every_s=0.01)
    async with open_sqlite(config) as opened:
        await opened.create(specs(partitions=2, audit_days=1))
        yield opened


async def say(log: EventLog, count: int, *, topic: str = PRICES_RAW) -> None:
    await log.append(topic, [(SHARD, Entry(b"k", b"v"))] * count)


async def stand(log: EventLog, *, after: int = 0, **positions: int) -> None:
    """Let the shard stand at positions; ``after`` more records of its state follow."""
    value = encode(
        Position(
            commit=1,
            chain=GENESIS,
            log_time=1,
            positions=dict.fromkeys(RAW, 0) | {PRICES_RAW: positions["prices"]},
        )
    )
    rest = [Entry(b"price:%d" % n, b"{}") for n in range(after)]
    async with log.own(SHARD) as writer:
        await writer.commit({STATE: [Entry(POSITION_KEY, value), *rest]})


async def standing_of(log: EventLog, clock: HandClock) -> Standing:
    found = await standings(log, partitions=2, now_ms=clock.ms)
    assert [each.topic for each in found] == sorted(RAW)
    return next(each for each in found if each.topic == PRICES_RAW)


async def test_of_shards_that_never_read_nothing_is_told(
    log: EventLog, clock: HandClock
) -> None:
    await say(log, 3)
    assert await standings(log, partitions=2, now_ms=clock.ms) == ()


async def test_what_waits_is_counted_and_dated(log: EventLog, clock: HandClock) -> None:
    await say(log, 5)
    for _ in range(23):
        clock.ms += HOUR_MS
        await say(log, 1)
    await stand(log, prices=3)
    assert await standing_of(log, clock) == Standing(
        PRICES_RAW, SHARD, waiting=25, left_s=3_600.0, danger=True, gap=None
    )
    await stand(log, prices=27)
    assert await standing_of(log, clock) == Standing(
        PRICES_RAW, SHARD, waiting=1, left_s=86_400.0, danger=False, gap=None
    )


async def test_a_position_is_found_under_much_that_came_after(
    log: EventLog, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "_TAIL_OFFSETS", 3)
    await say(log, 5)
    await stand(log, after=50, prices=4)
    assert (await standing_of(log, clock)).waiting == 1


async def test_a_position_that_cannot_be_read_is_none(
    log: EventLog, clock: HandClock
) -> None:
    async with log.own(SHARD) as writer:
        await writer.commit({STATE: [Entry(POSITION_KEY, b"{}")]})
    assert await standings(log, partitions=2, now_ms=clock.ms) == ()


async def test_what_was_deleted_unread_is_named(
    log: EventLog, clock: HandClock, tmp_path: Path
) -> None:
    await say(log, 5)
    await stand(log, prices=2)
    drop_all(tmp_path / "log", Partition(PRICES_RAW, SHARD))
    found = await standing_of(log, clock)
    assert (found.gap, found.left_s) == (Gap(PRICES_RAW, SHARD, 2, 4), math.inf)


async def a_first_commit(log: EventLog) -> None:
    """Let a processor fold and commit one price, as the first thing in a shard."""
    await log.append(PRICES_RAW, [(SHARD, Entry(ALPHA.encode(), encode(price("1"))))])
    at = Partition(PRICES_RAW, SHARD)
    async with log.reader({at: 0}) as reader:
        records = (await reader.read(max_records=1, wait_s=LONG_S))[at]
    batch = fold_batch(
        ShardState(SHARD), [(PRICES_RAW, records)], settings=FoldSettings()
    )
    async with log.own(SHARD) as writer:
        (entry,) = batch.entries[JOURNAL]
        await writer.commit({JOURNAL: [Entry(*entry)]})


async def test_how_long_history_has_a_beginning_is_read_from_the_log_alone(
    log: EventLog, clock: HandClock
) -> None:
    async def margins() -> list[HistoryMargin]:
        now = ManualClock(now_ms=clock.ms)
        return list(await history_margins(log, partitions=2, clock=now))

    assert {(each.left_s, each.topic) for each in await margins()} == {(math.inf, None)}
    await a_first_commit(log)
    clock.ms += HOUR_MS
    await say(log, 1)
    (whole, begun) = await margins()
    assert whole.left_s == math.inf
    assert (begun.left_s, begun.snapshot, begun.danger) == (23 * 3_600, None, False)
