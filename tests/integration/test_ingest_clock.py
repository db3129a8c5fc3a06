"""Ingest on a machine whose clock is set: forth, back, and across a restart."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from eventlog.port import EventLog, Partition
from ingest.core.history import newest_moment
from ingest.core.schedule import Pace
from runtime.clock import SystemClock
from runtime.health import Health
from runtime.metrics import CLOCK_BEHIND
from schemas.balances import AccountConfirmed, AccountRead
from schemas.base import encode
from schemas.ids import UserId
from schemas.prices import PriceObserved
from schemas.topics import BALANCES_RAW, PRICES_RAW
from tests.support.awaiting import SetClock, a_log_of, eventually
from tests.support.ingesting import (
    PARTITIONS,
    Admin,
    Seen,
    admin_of,
    config_for,
    lease,
    put,
    simulated,
    started,
)
from tests.support.logs import read_all
from tests.support.tasks import beside

HOUR_S = 3_600
DAY_MS = 86_400_000


@dataclass
class Scene:
    """A service on a clock that is set, its log, and its upstream's operator."""

    clock: SetClock
    log: EventLog
    admin: Admin
    seen: Seen
    health: Health
    user: UserId

    async def requests(self) -> int:
        return await self.admin.requests("hiro")

    def clock_is_why(self) -> bool:
        return "clock" in self.health.reasons()

    async def moments(self) -> list[tuple[int, int]]:
        """Append time and moment of each reading, in the order of the log."""
        parts = [Partition(BALANCES_RAW, n) for n in range(PARTITIONS)]
        found = await read_all(self.log, parts)
        # There is one user, so one partition has all of them.
        [records] = [records for records in found.values() if records]
        return [(r.time_ms, newest_moment(r.value)) for r in records]


@asynccontextmanager
async def scene(folder: Path, *, off_s: float = 0.0) -> AsyncIterator[Scene]:
    """Poll one user without end; no tokens, so that the user is all there is."""
    clock, health = SetClock(off_s), Health()
    async with AsyncExitStack() as stack:
        simulator = await stack.enter_async_context(simulated())
        admin = await stack.enter_async_context(admin_of(simulator))
        log = await stack.enter_async_context(a_log_of(folder, clock))
        user = await admin.user()
        far_ms = SystemClock().now_ms() + DAY_MS
        await lease(log, [user], edge="e", until_ms=far_ms)
        config = config_for(simulator.url, pace=Pace(interval_s=0.01), price_sources=())
        service = started(log, config, clock, health)
        await stack.enter_async_context(beside(service))
        yield Scene(clock, log, admin, Seen(log), health, user)


HELD = "clock set back, reading is held"


async def test_a_clock_set_back_an_hour_holds_reading_until_it_is_right_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with scene(tmp_path) as at:
        await at.seen.next(AccountConfirmed)
        at.clock.off_s = -HOUR_S
        await eventually(lambda: HELD in caplog.messages)
        assert "behind the newest observation" in at.health.reasons()["clock"]
        # What was in flight still comes; after that nothing goes out.
        requests = await at.requests()
        await at.seen.until(lambda _: at.seen.all[-1].observed_at > 0)
        held = len(await at.moments())
        assert await at.requests() == requests
        at.clock.off_s = 0
        whole = len(at.seen.of(AccountRead))
        # What was read around the jump may have been refused: it is said again.
        await at.seen.until(lambda _: len(at.seen.of(AccountRead)) > whole)
        await at.seen.next(AccountConfirmed)
        assert not at.clock_is_why()
        moments = await at.moments()
        assert len(moments) > held
        in_order = [moment for _, moment in moments]
        assert in_order == sorted(set(in_order))
        assert all(moment <= time_ms + 30_000 for time_ms, moment in moments[held:])


async def test_a_clock_set_forth_is_followed_and_back_again_is_waited_for(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path) as at:
        await at.seen.next(AccountConfirmed)
        before_ms = at.clock.now_ms()
        at.clock.off_s = HOUR_S
        await at.seen.until(
            lambda seen: seen[-1].observed_at >= before_ms + HOUR_S * 1_000
        )
        assert not at.clock_is_why()
        at.clock.off_s = 0
        await eventually(at.clock_is_why)
        at.clock.off_s = HOUR_S
        await at.seen.next(AccountConfirmed)
        in_order = [moment for _, moment in await at.moments()]
        assert in_order == sorted(set(in_order))


async def test_after_a_restart_with_the_clock_an_hour_back_nothing_is_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with scene(tmp_path) as at:
        await at.seen.next(AccountConfirmed)
    async with scene(tmp_path, off_s=-HOUR_S) as at:
        await eventually(at.clock_is_why)
        assert CLOCK_BEHIND._value.get() == pytest.approx(HOUR_S, abs=60)
        await eventually(lambda: HELD in caplog.messages)
        await at.seen.until(lambda _: bool(at.seen.of(AccountConfirmed)))
        written, newest_ms = len(at.seen.all), at.seen.all[-1].observed_at
        assert await at.requests() == 0
        at.clock.off_s = 0
        await at.seen.until(lambda seen: len(seen) > written)
        assert at.seen.all[written].observed_at > newest_ms
        assert not at.clock_is_why()


async def test_a_clock_some_seconds_behind_that_of_the_last_owner_loses_nothing(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path) as at:
        await at.seen.next(AccountConfirmed)
    async with scene(tmp_path, off_s=-10) as at:
        await at.seen.next(AccountConfirmed, 30)
        in_order = [moment for _, moment in await at.moments()]
        assert in_order == sorted(set(in_order))
        assert not at.clock_is_why()


async def test_moments_that_the_fold_refused_hold_nothing_back(tmp_path: Path) -> None:
    clock = SystemClock()
    far_ms = clock.now_ms() + HOUR_S * 1_000
    async with a_log_of(tmp_path, clock) as log:
        wrong = PriceObserved(
            contract_id=".stx",  # type: ignore[arg-type]
            source="kraxel",
            usd="1",
            observed_at=far_ms,
        )
        await put(log, PRICES_RAW, b".stx", encode(wrong))
        await put(log, PRICES_RAW, b".stx", b"no observation")
    async with scene(tmp_path) as at:
        [first] = await at.seen.next(AccountRead)
        assert first.observed_at < far_ms


async def test_a_clock_that_differs_from_the_upstreams_is_a_warning(
    tmp_path: Path,
) -> None:
    for off_s, said in ((HOUR_S, "3600 s ahead of"), (-HOUR_S, "3600 s behind")):
        folder = tmp_path / str(off_s)
        folder.mkdir()
        async with scene(folder, off_s=off_s) as at:
            await eventually(lambda at=at: "clock" in at.health.report().warnings)  # type: ignore[misc]
            warned = at.health.report().warnings["clock"]
            assert said[:3] in warned
            assert said.split()[-1] in warned
            assert "NTP" in warned
