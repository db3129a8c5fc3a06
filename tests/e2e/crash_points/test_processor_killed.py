"""A processor killed at every step of its work: the same bytes, none lost, none twice."""

from collections.abc import Sequence
from functools import cache

import pytest

from eventlog.port import EventLog
from schemas.topics import BALANCES_RAW, PRICES_RAW, TOKENS_RAW
from tests.support import history
from tests.support.crash_process import dies, open_small, processing
from tests.support.history_noise import Raw, noise
from tests.support.logs import Place
from tests.support.pipeline import (
    SHARDS,
    TOPICS,
    Told,
    append,
    check,
    follow_progress,
    tell,
)
from tests.support.shard_states import check_restored

pytestmark = [pytest.mark.slow, pytest.mark.timeout(90)]

# Of the history one in so many of each topic, so that all are of a size.
_ONE_IN = {PRICES_RAW: 300, BALANCES_RAW: 12, TOKENS_RAW: 4}
# Steps, and of each a pass that comes late.
RESTORING = {"shard-acquired": 3, "barrier-made": 3, "state-read": 6, "term-begun": 3}
COMMITTING = {
    "inputs-taken": 9,
    "folded": 9,
    "commit-written": 9,
    "commit-made": 9,
    "commit-returned": 9,
}


@cache
def a_part() -> Told:
    """Return a part of the history in which every third has all topics; then noise."""
    seen = list(history.observations())
    each = [[o for o in seen if o.topic == topic][::n] for topic, n in _ONE_IN.items()]
    placed = [(at / len(part), o) for part in each for at, o in enumerate(part)]
    mixed = [o for _, o in sorted(placed, key=lambda pair: pair[0])]
    return tell([*((o.topic, o.key, o.value) for o in mixed), *noise(mixed)])


def thirds(told: Told) -> tuple[Sequence[Raw], Sequence[Raw], Sequence[Raw]]:
    entries, size = told.entries, len(told.entries) // 3
    return entries[:size], entries[size : 2 * size], entries[2 * size :]


async def goes_on(place: Place, log: EventLog, entries: Sequence[Raw]) -> None:
    """Append entries and let a processor that lives fold all that there is."""
    ends = await append(log, entries)
    async with follow_progress(log) as progress, processing(place):
        await progress.reached(ends)


async def check_all(log: EventLog, told: Told) -> None:
    """Check all that was written, and what the next owner of each shard would know."""
    await check(log, told)
    for shard in SHARDS:
        await check_restored(log, shard)


@pytest.mark.parametrize("step", RESTORING)
async def test_a_processor_killed_while_it_restores(place: Place, step: str) -> None:
    told = a_part()
    first, second, third = thirds(told)
    async with open_small(place) as log:
        await log.create(TOPICS)
        await goes_on(place, log, first)
        await dies("processor", place, f"{step}:1")
        await append(log, second)
        await dies("processor", place, f"{step}:{RESTORING[step]}")
        await goes_on(place, log, third)
        await check_all(log, told)


@pytest.mark.parametrize("step", COMMITTING)
async def test_a_processor_killed_while_it_commits(place: Place, step: str) -> None:
    told = a_part()
    first, second, third = thirds(told)
    async with open_small(place) as log:
        await log.create(TOPICS)
        await append(log, first)
        await dies("processor", place, f"{step}:1")
        await append(log, second)
        await dies("processor", place, f"{step}:{COMMITTING[step]}")
        await goes_on(place, log, third)
        await check_all(log, told)
