"""Ingest through trouble: of the log it reads from, and of the registries."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from eventlog.port import (
    Batches,
    Entry,
    EventLog,
    LogError,
    LogUnavailable,
    OffsetOutOfRange,
    Partition,
)
from ingest.follower import follow
from runtime.clock import SystemClock
from schemas.balances import AccountRead
from schemas.ids import STX
from schemas.tokens import TokenObserved
from schemas.topics import DEMAND, LATEST
from simulator.server import Simulator
from tests.support.ingesting import (
    LONG_S,
    PARTITIONS,
    Admin,
    Seen,
    a_log,
    admin_of,
    config_for,
    ingesting,
    lease,
    no_jitter,
    publish_subnets,
    publish_token,
    put,
    simulated,
    started,
)
from tests.support.troubled import Troubled

ZERO = Partition(LATEST, 0)


def unavailable() -> LogUnavailable:
    return LogUnavailable("the test", why="it says so")


def out_of_range() -> OffsetOutOfRange:
    return OffsetOutOfRange(ZERO, offset=0, oldest=1, end=3)


class Taken:
    """What a follower handed over, and whether it has caught up."""

    def __init__(self) -> None:
        self.values: list[bytes | None] = []
        self.more = asyncio.Event()
        self.complete = asyncio.Event()

    def take(self, batches: Batches) -> None:
        self.values += [r.value for records in batches.values() for r in records]
        self.more.set()

    def caught_up(self) -> None:
        self.complete.set()


@asynccontextmanager
async def following(log: EventLog) -> AsyncIterator[Taken]:
    taken = Taken()
    async with asyncio.timeout(LONG_S), asyncio.TaskGroup() as group:
        work = follow(
            log,
            LATEST,
            PARTITIONS,
            taker=taken,
            clock=SystemClock(),
            draw=no_jitter,
        )
        task = group.create_task(work)
        yield taken
        task.cancel()


@pytest.mark.parametrize("method", ["oldest", "ends", "reader", "read"])
async def test_following_goes_on_when_the_log_is_back(
    tmp_path: Path, method: str
) -> None:
    async with a_log(tmp_path) as log:
        for at in range(3):
            await put(log, LATEST, b"price:x", b"%d" % at)
        errors: dict[str, list[LogError]] = {method: [unavailable(), unavailable()]}
        async with following(Troubled(log, **errors).as_log()) as taken:
            await taken.complete.wait()
            assert taken.values == [b"0", b"1", b"2"]
            taken.more.clear()
            await put(log, LATEST, b"price:x", b"3")
            await taken.more.wait()
            assert taken.values[3:] == [b"3"]


async def test_following_goes_on_with_the_oldest_where_retention_passed_it(
    tmp_path: Path,
) -> None:
    async with a_log(tmp_path) as log:
        for at in range(3):
            await log.append(LATEST, [(0, Entry(b"price:x", b"%d" % at))])
        async with following(Troubled(log, read=[out_of_range()]).as_log()) as taken:
            await taken.complete.wait()
            assert taken.values == [b"1", b"2"]


@asynccontextmanager
async def troubled(
    folder: Path, **errors: list[LogError]
) -> AsyncIterator[tuple[EventLog, Admin]]:
    """The service on a log with these errors; yields the log itself."""
    async with (
        simulated() as simulator,
        admin_of(simulator) as admin,
        a_log(folder) as log,
        asyncio.TaskGroup() as group,
    ):
        log_in_trouble = Troubled(log, **errors).as_log()
        service = started(log_in_trouble, config_for(simulator.url), SystemClock())
        task = group.create_task(service)
        yield log, admin
        task.cancel()


@pytest.mark.parametrize("method", ["member", "reader", "read", "append", "ends"])
async def test_a_log_that_is_away_at_the_start_is_waited_for(
    tmp_path: Path, method: str
) -> None:
    errors: dict[str, list[LogError]] = {method: [unavailable()]}
    async with troubled(tmp_path, **errors) as (log, admin):
        user = await admin.user()
        until_ms = SystemClock().now_ms() + 60_000
        await lease(log, [user], edge="e", until_ms=until_ms)
        seen = Seen(log)
        await seen.until(lambda _: bool(seen.of(AccountRead)))


async def test_a_registry_that_fails_is_asked_again_soon(tmp_path: Path) -> None:
    async def prepare(log: EventLog, simulator: Simulator) -> None:
        async with admin_of(simulator) as admin:
            await admin.fault("tokens", "500", count=3)

    async with ingesting(tmp_path, prepare=prepare) as ingest:
        await ingest.seen.until(
            lambda _: any(o.source == "charisma" for o in ingest.seen.of(TokenObserved))
        )


async def test_a_contract_without_decimals_does_not_keep_others_waiting(
    tmp_path: Path,
) -> None:
    first: list[str] = []

    async def prepare(log: EventLog, simulator: Simulator) -> None:
        await publish_token(log, f"{simulator.stage.world.accounts[0]}.a")
        await publish_token(log, STX, decimals=6)
        await publish_subnets(log, simulator)
        first.append(min(t.contract_id for t in simulator.stage.world.subnets))

    async with ingesting(tmp_path, prepare=prepare) as ingest:
        await ingest.seen.until(
            lambda _: any(
                o.source == "contract" and o.contract_id == first[0]
                for o in ingest.seen.of(TokenObserved)
            )
        )


async def test_a_lease_that_nobody_renews_ends(tmp_path: Path) -> None:
    async with ingesting(tmp_path, watch_max=1) as ingest:
        ann, bob = (await ingest.admin.world())["accounts"][:2]
        now_ms = ingest.clock.now_ms()
        await lease(ingest.log, [ann], edge="e", until_ms=now_ms + 1_000)
        await ingest.lease(bob)
        await put(ingest.log, DEMAND, b"odd", b"{")
        await ingest.seen.until(
            lambda _: any(o.user_id == bob for o in ingest.seen.of(AccountRead))
        )
