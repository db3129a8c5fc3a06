"""The real history while the processor is killed again and again: the same bytes."""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from random import Random, SystemRandom

import pytest

from eventlog.port import EventLog
from tests.support.history_noise import Raw as RawEntry
from tests.support.kafka_from_maven import MavenKafka
from tests.support.logs import Place, open_at
from tests.support.pipeline import (
    TOPICS,
    Ends,
    Progress,
    append,
    check,
    follow_progress,
    told,
)
from tests.support.places import KINDS, fresh_place
from tests.support.processor_process import processor

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

KILLS = 20
# One in so many is killed on its way up, wherever that may be.
EARLY = 4
# The first entries of a part: once they are folded the processor is up.
_FIRST = 100
# So few a commit that a part of the history takes many.
_INPUTS = 200
# About as long as a processor takes to start, and to make a commit.
_START_S, _COMMIT_S = 1.5, 0.01


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Where the log is; of the brokers one that takes members with a short patience."""
    if request.param == "kafka":
        broker: MavenKafka = request.getfixturevalue("own_broker")
        return Place("kafka", broker.bootstrap, prefix="killed.")
    return fresh_place(request, tmp_path)


async def test_a_processor_killed_at_random_moments_writes_the_same_bytes(
    place: Place,
) -> None:
    seed = int(os.environ.get("KILL_SEED") or SystemRandom().randrange(2**32))  # noqa: TID251 - the test run has no settings
    print(f"repeat with KILL_SEED={seed}")  # noqa: T201 - what a failure needs to be repeated
    expected = told()
    async with open_at(place) as log:
        await log.create(TOPICS)
        async with follow_progress(log) as progress:
            run = Run(place, log, progress, Random(seed))
            for number, part in enumerate(parts(expected.entries)):
                await run.killed(part, number)
            await run.finished()
        await check(log, expected)


def parts(entries: Sequence[RawEntry]) -> list[Sequence[RawEntry]]:
    """Cut the history into as many parts as there are kills."""
    size = -(-len(entries) // KILLS)
    return [entries[at : at + size] for at in range(0, len(entries), size)]


class Run:
    """A log that fills while its processor dies."""

    def __init__(
        self, place: Place, log: EventLog, progress: Progress, random: Random
    ) -> None:
        self._place, self._log = place, log
        self._progress, self._random = progress, random
        self._ends: Ends = {}

    async def killed(self, part: Sequence[RawEntry], number: int) -> None:
        """Append a part of the history, and somewhere within kill the processor."""
        cut = self._random.randrange(_FIRST + 1, len(part))
        async with processor(self._place, f"victim-{number}", inputs=_INPUTS) as victim:
            await self._append(part[:_FIRST])
            if number % EARLY == EARLY - 1:
                await self._append(part[_FIRST:cut])
                await self._pause(victim, self._random.uniform(0, _START_S))
            else:
                # Once it is up it works on what comes, commit by commit, until it dies.
                await self._progress.reached(self._ends)
                await self._feed(part[_FIRST:cut])
                await self._pause(victim, self._random.uniform(0, _COMMIT_S))
        await self._append(part[cut:])

    async def finished(self) -> None:
        """Let the last one live until all is folded."""
        async with processor(self._place, "survivor", inputs=_INPUTS):
            await self._progress.reached(self._ends)

    async def _feed(self, entries: Sequence[RawEntry]) -> None:
        """Append entries, and wait until some of them are folded."""
        some = self._random.randrange(len(entries))
        await self._append(entries[:some])
        goal = dict(self._ends)
        await self._append(entries[some:])
        await self._progress.reached(goal)

    async def _append(self, entries: Sequence[RawEntry]) -> None:
        self._ends |= await append(self._log, entries)

    async def _pause(self, victim: asyncio.subprocess.Process, seconds: float) -> None:
        """Let some time pass, within which it must not end by itself."""
        try:
            async with asyncio.timeout(seconds):
                await victim.wait()
        except TimeoutError:
            return
        raise AssertionError("it ended before it was killed")
