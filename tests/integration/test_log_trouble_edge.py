"""The edge while the log is silent: it serves on, says so, and misses nothing after."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from app.topics import specs
from eventlog.port import Entry, EventLog, Partition
from eventlog.sqlite import open_sqlite
from schemas.base import encode
from schemas.latest import balance_key, watermark_key
from schemas.log import Watermark, World
from schemas.topics import LATEST
from tests.support.cut_log import CutLog
from tests.support.logs import read_all
from tests.support.serving import (
    ANNE,
    BOB,
    CHA,
    LONG_S,
    NOW_MS,
    PARTITIONS,
    Serving,
    balance,
    identity,
    put,
    serving_from,
    the_tokens,
    two_prices,
)
from tests.support.sqlite_logs import HOUR_MS, HandClock, config_of

PARTS = [Partition(LATEST, number) for number in range(PARTITIONS)]
DAY_MS = 86_400_000
PRICES, BALANCES = "/parties/prices/main", "/parties/balances/main"


@pytest.fixture
def log_clock() -> HandClock:
    return HandClock(ms=NOW_MS)


@pytest.fixture
async def log(tmp_path: Path, log_clock: HandClock) -> AsyncIterator[EventLog]:
    """A log that compacts what it can as soon as it can."""
    config = config_of(tmp_path / "log", log_clock, clean_every_s=0.01, dirty_min=1)
    async with open_sqlite(config) as opened:
        await opened.create(specs(partitions=PARTITIONS, audit_days=0))
        await identity(opened, World.SIMULATED)
        await two_prices(opened)
        await the_tokens(opened)
        for user in (ANNE, BOB):
            await balance(opened, user, CHA, 5_000_000)
        yield opened


@asynccontextmanager
async def serving(log: EventLog) -> AsyncIterator[tuple[Serving, CutLog]]:
    cut = CutLog(log)
    async with serving_from(cut.log) as edge:
        yield Serving(log, edge.edge, edge.clock), cut


async def until_it_failed(cut: CutLog) -> None:
    cut.is_cut = True
    async with asyncio.timeout(LONG_S):
        await cut.failed.wait()


async def goes_on(edge: Serving, cut: CutLog) -> None:
    """Let the log be there again, and the edge read it to its end."""
    cut.is_cut = False
    # The follower waits before it tries again; the pings wait too.
    await edge.clock.until_asleep(2)
    await edge.clock.advance(5)
    await edge.taken_in()


async def marked(edge: Serving, at_ms: int) -> None:
    """Say that all shards are processed up to a moment, and let the edge hear it."""
    for shard in range(PARTITIONS):
        mark = Watermark(shard=shard, log_time=at_ms)
        entry = Entry(watermark_key(shard), encode(mark))
        await edge.log.append(LATEST, [(shard, entry)])
    await edge.taken_in()


async def readiness(edge: Serving) -> tuple[int, Any]:
    """Return the status of ``/health/ready`` and what it warns of."""
    async with edge.http() as http:
        answer = await http.get("/health/ready")
    return answer.status_code, answer.json()["warnings"]


async def metrics(edge: Serving) -> dict[str, float]:
    async with edge.http() as http:
        text = (await http.get("/metrics")).text
    plain = [line for line in text.splitlines() if not set("#{") & set(line)]
    return {name: float(value) for name, value in map(str.split, plain)}


async def test_a_table_that_may_be_old_is_served_and_said_to_be_stale(
    log: EventLog,
) -> None:
    async with serving(log) as (edge, cut):
        await marked(edge, NOW_MS)
        assert await readiness(edge) == (200, [])
        found = await metrics(edge)
        assert found["stacks_feed_table_stale"] == 0
        assert found["stacks_feed_watermark_seconds"] == NOW_MS / 1_000
        await until_it_failed(cut)
        await edge.clock.advance(31)
        said = "stale: the log has not answered for 31 s"
        assert await readiness(edge) == (200, [said])
        found = await metrics(edge)
        assert found["stacks_feed_table_stale"] == 1
        assert found["stacks_feed_log_silence_seconds"] == 31
        async with edge.http() as http:
            assert (await http.get(PRICES)).json()["prices"]
        await goes_on(edge, cut)
        behind = "processed up to 36 s ago"
        status, (said,) = await readiness(edge)
        assert (status, said) == (
            200,
            f"stale: shard 0 is {behind}; shard 1 is {behind}",
        )
        await marked(edge, NOW_MS + 36_000)
        assert await readiness(edge) == (200, [])


async def test_who_was_away_longer_than_tombstones_stand_reads_the_table_again(
    log: EventLog, log_clock: HandClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "edge.follower")
    async with serving(log) as (edge, cut):
        assert await users_with_balances(edge) == {ANNE, BOB}
        await until_it_failed(cut)
        await withdrawn_for_good(log, log_clock)
        edge.clock.step_wall_clock(DAY_MS)
        await goes_on(edge, cut)
        assert await users_with_balances(edge) == {BOB}
        async with edge.http() as http:
            prices = (await http.get(PRICES)).json()["prices"]
    assert {f"{each['contractId']}" for each in prices} >= {CHA}
    (said,) = (r for r in caplog.records if r.message == "table read again")
    assert said.levelno == logging.WARNING
    assert said.__dict__["away_s"] >= DAY_MS // 1_000


async def users_with_balances(edge: Serving) -> set[str]:
    async with edge.http() as http:
        balances = (await http.get(BALANCES)).json()["balances"]
    return {each["userId"] for each in balances}


async def withdrawn_for_good(log: EventLog, clock: HandClock) -> None:
    """Withdraw a balance, and let compaction drop even the tombstone of it."""
    key = balance_key(ANNE, CHA)
    await put(log, LATEST, key, None)
    for _ in range(25):
        clock.ms += HOUR_MS
        for at in PARTS:
            mark = encode(Watermark(shard=at.number, log_time=NOW_MS))
            await log.append(LATEST, [(at.number, Entry(b"watermark:0", mark))])
    async with asyncio.timeout(LONG_S), log.own(0):  # the owner of shard 0 cleans
        while key in await keys(log):
            pass


async def keys(log: EventLog) -> set[bytes | None]:
    found = await read_all(log, PARTS)
    return {record.key for records in found.values() for record in records}
