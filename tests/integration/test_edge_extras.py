"""What clients get that say HELLO, over real sockets."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from eventlog.port import Entry, EventLog
from schemas.base import encode
from schemas.extras import FEATURES
from schemas.ids import STX
from schemas.latest import balance_key, watermark_key
from schemas.log import Watermark, World
from schemas.topics import LATEST
from tests.support.cut_log import CutLog
from tests.support.held_log import HeldLog
from tests.support.serving import (
    ANNE,
    CHA,
    LONG_S,
    MARKERS,
    NOW_MS,
    PARTITIONS,
    WELSH,
    Listener,
    Message,
    Serving,
    a_log,
    balance,
    identity,
    price,
    put,
    serving,
    serving_from,
    the_tokens,
    two_prices,
)


async def watermarks(log: EventLog, at_ms: int) -> None:
    for shard in range(PARTITIONS):
        mark = Entry(
            watermark_key(shard), encode(Watermark(shard=shard, log_time=at_ms))
        )
        await log.append(LATEST, [(shard, mark)])


@asynccontextmanager
async def two_edges(folder: Path) -> AsyncIterator[tuple[Serving, Serving]]:
    """Run two edges over one log, in every partition of which something stands."""
    async with a_log(folder) as log, AsyncExitStack() as stack:
        await identity(log, World.SIMULATED)
        await the_tokens(log)
        await two_prices(log)
        for marker in MARKERS:
            await price(log, marker, "1")
        one, two = [
            await stack.enter_async_context(serving_from(log, instance=name))
            for name in ("e1", "e2")
        ]
        yield one, two


async def hello(listener: Listener, *features: str) -> Message:
    (welcome,) = await listener.asks("HELLO", features=features or FEATURES)
    return welcome


async def test_a_client_learns_what_it_may_have(tmp_path: Path) -> None:
    async with (
        serving(tmp_path, features=("ack", "heartbeat")) as running,
        running.listener() as listener,
    ):
        said = await hello(listener, "ack", "heartbeat", "seq")
        assert (said["features"], said["ignored"]) == (["ack", "heartbeat"], ["seq"])
        assert said["heartbeatMs"] == 5_000


async def test_who_comes_back_to_another_edge_gets_what_it_missed(
    tmp_path: Path,
) -> None:
    async with two_edges(tmp_path) as (one, two):
        async with one.listener() as listener:
            await hello(listener, "resume")
            (batch,) = await listener.asks("SUBSCRIBE")
        assert {each["version"] for each in batch["prices"]} == {1}
        await price(one.log, CHA, "0.5", version=2)
        await two.taken_in()
        async with two.listener() as listener:
            await hello(listener, "resume", "ack")
            said, *updates = await listener.asks("SUBSCRIBE", since=batch["cursor"])
        assert said["recovered"] is True
        changed = {each["contractId"] for each in updates}
        assert {CHA} <= changed <= {CHA, f"{CHA}-subnet-v1", *MARKERS}


async def test_a_forgotten_balance_is_removed_wherever_the_client_comes_back(
    tmp_path: Path,
) -> None:
    async with two_edges(tmp_path) as (one, two):
        await balance(one.log, ANNE, CHA, 5)
        await one.taken_in()
        async with one.listener("/balances") as listener:
            await hello(listener, "resume")
            (batch,) = await listener.asks("SUBSCRIBE", userIds=[ANNE])
        await put(one.log, LATEST, balance_key(ANNE, CHA), None)
        await two.taken_in()
        async with two.listener("/balances") as listener:
            await hello(listener, "resume")
            said, removed = await listener.asks(
                "SUBSCRIBE", userIds=[ANNE], since=batch["cursor"]
            )
        assert said["recovered"] is True
        assert (removed["type"], removed["contractId"]) == ("REMOVED", CHA)


async def test_an_edge_that_is_behind_waits_for_what_the_client_has(
    tmp_path: Path,
) -> None:
    async with a_log(tmp_path) as log:
        await identity(log, World.SIMULATED)
        for marker in MARKERS:
            await price(log, marker, "1")
        held = HeldLog(log)
        async with (
            serving_from(log) as one,
            serving_from(held.log, instance="e2") as two,
            two.listener() as listener,
        ):
            held.free.clear()
            # A read that began before may still take something.
            await price(log, CHA, "1")
            await one.taken_in()
            since = await cursor_of(one)
            await hello(listener, "resume")
            await listener.send("SUBSCRIBE", since=since)
            # The rounds, and now the client that waits.
            await two.clock.until_asleep(2)
            await two.clock.advance(1.5)
            refused = await listener.next()
            assert (refused["recovered"], refused["why"]) == (False, "ahead")
            await listener.until_now()
            await listener.send("SUBSCRIBE", since=since)
            await two.clock.until_asleep(2)
            held.free.set()
            # Changes reach it too: it is subscribed since the first try.
            while "recovered" not in (said := await listener.next()):
                pass
            assert said["recovered"] is True


async def cursor_of(running: Serving) -> str:
    """Return the cursor of a client that has all prices."""
    async with running.listener() as listener:
        await hello(listener, "resume")
        heard = await listener.asks("SUBSCRIBE")
    cursor: str = heard[-1]["cursor"]
    return cursor


async def test_a_heartbeat_tells_a_quiet_feed_from_a_dead_one(tmp_path: Path) -> None:
    async with a_log(tmp_path) as log:
        await identity(log, World.SIMULATED)
        for marker in MARKERS:
            await price(log, marker, "1")
        cut = CutLog(log)
        async with (
            serving_from(cut.log) as running,
            running.listener() as listener,
            running.listener() as base,
        ):
            await hello(listener, "heartbeat", "resume")
            await watermarks(log, NOW_MS)
            await running.taken_in()
            await running.clock.advance(5)
            said = await listener.next()
            assert (said["type"], said["stale"]) == ("HEARTBEAT", False)
            assert said["watermarks"] == [NOW_MS] * PARTITIONS
            assert "cursor" in said
            cut.is_cut = True
            async with asyncio.timeout(LONG_S):
                await cut.failed.wait()
            for _ in range(5):  # now and then it is away, and nobody need know
                await running.clock.until_asleep(2)
                await running.clock.advance(5)
                assert (await listener.next())["stale"] is False
            await running.clock.until_asleep(2)
            await running.clock.advance(6)
            assert (await listener.next())["stale"] is True
            assert await base.until_now() == []


async def test_a_stop_is_announced_to_who_asked_and_to_nobody_else(
    tmp_path: Path,
) -> None:
    async with AsyncExitStack() as stack:
        async with serving(tmp_path, before=two_prices) as running:
            asked, base = [
                await stack.enter_async_context(running.listener()) for _ in range(2)
            ]
            await hello(asked, "shutdown", "seq")
        said = await asked.next()
        assert (said["type"], said["seq"]) == ("SHUTDOWN", 2)
        assert 0 <= said["reconnectInMs"] <= 5_000
        for listener in (asked, base):
            assert (await listener.closed())[0] == 1012


async def test_every_message_of_a_busy_client_is_numbered(tmp_path: Path) -> None:
    async with (
        serving(tmp_path, before=two_prices) as running,
        running.listener() as listener,
    ):
        await listener.send("HELLO", features=["seq", "ack"])
        assert (await listener.next())["type"] == "WELCOME"
        heard: list[Message] = []
        await listener.send("SUBSCRIBE", contractIds=[STX, CHA, WELSH])
        for usd in range(1, 20):
            await price(running.log, WELSH, f"{usd}")
            await listener.send("PING")
        await running.taken_in()
        await listener.send("PING", timestamp="end")
        while not heard or heard[-1].get("timestamp") != "end":
            heard.append(await listener.next())
        assert [each["seq"] for each in heard] == list(range(1, len(heard) + 1))
