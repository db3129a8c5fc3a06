"""How old what is served is: told in heartbeats, readiness and metrics, and logged."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from eventlog.port import Entry, EventLog
from schemas.base import encode
from schemas.latest import observed_key, unquoted_key, watermark_key
from schemas.log import Observed, Unquoted, Watermark
from schemas.topics import LATEST
from tests.support.serving import (
    CHA,
    NOW_MS,
    PARTITIONS,
    Listener,
    Message,
    Serving,
    serving,
    two_prices,
)

STALE = "stacks_feed_table_stale"
METRIC = "stacks_feed_newest_observation_timestamp_seconds"
OLD_S = 8.0


async def seen(
    log: EventLog, shard: int, *, prices: int | None = None, tokens: int | None = None
) -> None:
    """Publish what a shard has observed, as its processor would."""
    said = Observed(shard=shard, prices=prices, balances=None, tokens=tokens)
    await log.append(LATEST, [(shard, Entry(observed_key(shard), encode(said)))])


async def processed(log: EventLog, at_ms: int) -> None:
    """Say that every shard is processed up to a moment: nothing but prices can be old."""
    for shard in range(PARTITIONS):
        mark = Watermark(shard=shard, log_time=at_ms)
        await log.append(LATEST, [(shard, Entry(watermark_key(shard), encode(mark)))])


async def readiness(running: Serving) -> dict[str, Any]:
    async with running.http() as http:
        answer = await http.get("/health/ready")
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


async def samples(running: Serving, name: str) -> dict[str, float]:
    async with running.http() as http:
        lines = (await http.get("/metrics")).text.splitlines()
    named = [line.rpartition(" ") for line in lines if line.startswith(name)]
    return {sample.removeprefix(name): float(value) for sample, _, value in named}


@asynccontextmanager
async def watched(folder: Path) -> AsyncIterator[tuple[Serving, Listener]]:
    """Run an edge whose shards are processed, and a client that hears heartbeats."""
    async with (
        serving(folder, before=two_prices, prices_old_s=OLD_S) as running,
        running.listener() as listener,
    ):
        await listener.asks("HELLO", features=["heartbeat"])
        await processed(running.log, NOW_MS + 3_600_000)
        await running.taken_in()
        yield running, listener


async def beat(running: Serving, listener: Listener) -> Message:
    """Return the next heartbeat, 5 s later."""
    await running.clock.until_asleep(1)
    await running.clock.advance(5)
    return await listener.next()


async def test_the_age_of_the_newest_observations_is_told_everywhere(
    tmp_path: Path,
) -> None:
    async with watched(tmp_path) as (running, listener):
        never = {"prices": None, "balances": None, "tokens": None}
        assert "observedAgeS" not in await readiness(running)
        said = await beat(running, listener)
        assert (said["stale"], said["observed"]) == (False, never)
        await seen(running.log, 0, prices=NOW_MS, tokens=NOW_MS - 5_000)
        await seen(running.log, 1, prices=NOW_MS - 30_000)
        await running.taken_in()
        ages = {"prices": 5.0, "balances": None, "tokens": 10.0}
        assert (await readiness(running))["observedAgeS"] == ages
        assert await samples(running, METRIC) == {
            '{kind="price"}': NOW_MS / 1_000,
            '{kind="token"}': NOW_MS / 1_000 - 5,
        }
        said = await beat(running, listener)
        moments = {"prices": NOW_MS, "balances": None, "tokens": NOW_MS - 5_000}
        assert said["observed"] == moments


async def test_prices_that_nobody_observed_for_long_are_stale_until_one_is(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "edge.follower")
    async with watched(tmp_path) as (running, listener), running.listener() as base:
        await seen(running.log, 0, prices=NOW_MS)
        await running.taken_in()
        assert (await beat(running, listener))["stale"] is False
        assert (await readiness(running))["warnings"] == []
        assert (await beat(running, listener))["stale"] is True
        (warning,) = (await readiness(running))["warnings"]
        assert warning == "stale: the newest price was observed 10 s ago"
        assert await samples(running, STALE) == {"": 1.0}
        await seen(running.log, 1, prices=running.clock.now_ms())
        await running.taken_in()
        assert (await readiness(running))["warnings"] == []
        assert await samples(running, STALE) == {"": 0.0}
        assert (await beat(running, listener))["stale"] is False
        assert await base.until_now() == []
    told = [r.msg for r in caplog.records if "value" in r.msg]
    assert told == ["values may be old", "values are current again"]


async def test_prices_that_no_source_quotes_any_more_are_told_and_counted(
    tmp_path: Path,
) -> None:
    async with watched(tmp_path) as (running, listener), running.listener() as base:
        assert (await beat(running, listener))["oldPrices"] == {
            "count": 0,
            "quotedAt": {},
        }
        assert "oldPrices" not in await readiness(running)
        for shard in range(PARTITIONS):
            await seen(running.log, shard, prices=NOW_MS)
        said = Unquoted(shard=0, count=1, prices={CHA: 5})
        await running.log.append(LATEST, [(0, Entry(unquoted_key(0), encode(said)))])
        await running.taken_in()
        told = await beat(running, listener)
        assert told["oldPrices"] == {"count": 1, "quotedAt": {CHA: 5}}
        assert (await readiness(running))["oldPrices"] == 1
        assert await samples(running, "stacks_feed_old_prices") == {"": 1.0}
        assert await base.until_now() == []
