"""The system clock, and the clock the tests use instead."""

import asyncio

from runtime.clock import Clock, SystemClock
from tests.support.clock import ManualClock


async def test_the_system_clock_moves_forward_across_a_sleep() -> None:
    clock: Clock = SystemClock()
    wall_ms, before_s = clock.now_ms(), clock.monotonic_s()
    await clock.sleep(-1)
    assert clock.now_ms() > 1_600_000_000_000
    assert clock.now_ms() >= wall_ms - 60_000
    assert clock.monotonic_s() >= before_s


async def test_a_manual_clock_stands_still_until_it_is_advanced() -> None:
    clock = ManualClock(now_ms=1_000)
    woken: list[str] = []

    async def sleeper(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append(name)

    async with asyncio.TaskGroup() as group:
        group.create_task(sleeper("late", 3.0), name="late")
        group.create_task(sleeper("early", 1.0), name="early")
        await clock.until_asleep(2)
        await clock.advance(0.5)
        assert (woken, clock.now_ms()) == ([], 1_500)
        await clock.advance(0.5)
        assert woken == ["early"]
        await clock.advance(10)
    assert woken == ["early", "late"]
    assert (clock.now_ms(), clock.monotonic_s()) == (12_000, 11.0)


async def test_a_sleeper_that_sleeps_again_is_woken_again_within_one_advance() -> None:
    clock = ManualClock()
    ticks: list[float] = []

    async def ticker() -> None:
        for _ in range(3):
            await clock.sleep(1)
            ticks.append(clock.monotonic_s())

    async with asyncio.TaskGroup() as group:
        group.create_task(ticker(), name="ticker")
        await clock.until_asleep()
        await clock.advance(3.5)
    assert ticks == [1.0, 2.0, 3.0]


async def test_the_wall_clock_can_step_back_while_the_other_goes_on() -> None:
    clock: ManualClock = ManualClock(now_ms=5_000)
    as_clock: Clock = clock
    clock.step_wall_clock(-2_000)
    await as_clock.sleep(0)
    assert (clock.now_ms(), clock.monotonic_s()) == (3_000, 0.0)


async def test_a_cancelled_sleeper_is_passed_over() -> None:
    clock = ManualClock()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(clock.sleep(1), name="sleeper")
        await clock.until_asleep()
        task.cancel()
    await clock.advance(2)
    assert clock.sleepers == 0
