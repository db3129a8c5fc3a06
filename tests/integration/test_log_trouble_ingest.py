"""Ingest cut off from the log for so long that it may have missed what was withdrawn."""

import asyncio
from pathlib import Path

import pytest

from eventlog.port import Batches
from ingest.follower import follow_table
from schemas.topics import LATEST
from tests.support.clock import ManualClock
from tests.support.cut_log import CutLog
from tests.support.ingesting import LONG_S, PARTITIONS, a_log, ingesting, put

HOUR_S = 3_600.0


def full_jitter() -> float:
    """As long a wait as there is, so that it can be seen."""
    return 1.0


class Taken:
    """What was handed over, and when all that stood there had been."""

    def __init__(self) -> None:
        self.values: list[bytes | None] = []
        self.complete = asyncio.Event()

    def take(self, batches: Batches) -> None:
        self.values += [r.value for records in batches.values() for r in records]

    def caught_up(self) -> None:
        self.complete.set()


@pytest.mark.parametrize(
    ("away_h", "goes_on"), [(1, True), (13, False)], ids=["an hour", "half a day"]
)
async def test_who_follows_goes_on_unless_it_was_away_too_long(
    tmp_path: Path, away_h: int, goes_on: bool
) -> None:
    taken, clock = Taken(), ManualClock()
    async with a_log(tmp_path) as log, asyncio.TaskGroup() as group:
        await put(log, LATEST, b"token:a", b"1")
        cut = CutLog(log)
        following = group.create_task(
            follow_table(
                cut.log, LATEST, PARTITIONS, taker=taken, clock=clock, draw=full_jitter
            )
        )
        async with asyncio.timeout(LONG_S):
            await taken.complete.wait()
            cut.is_cut = True
            await clock.until_asleep()
            await put(log, LATEST, b"token:b", b"2")
            cut.is_cut = False
            clock.step_wall_clock(round(away_h * HOUR_S * 1_000))
            await clock.advance(5)
            while not following.done() and len(taken.values) < 2:  # noqa: ASYNC110 - either ends it
                await asyncio.sleep(0)
        assert following.done() is not goes_on
        assert taken.values == ([b"1", b"2"] if goes_on else [b"1"])
        following.cancel()


async def test_ingest_reads_the_table_again_after_half_a_day(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = ManualClock()
    async with ingesting(tmp_path, clock=clock):
        async with asyncio.timeout(LONG_S):
            while "table read again" not in caplog.messages:
                # The machine slept: its clock is ahead when it wakes.
                clock.step_wall_clock(round(13 * HOUR_S * 1_000))
                await asyncio.sleep(0)
