"""Generations of the balance API that go and come back while ingest runs, in simulated time."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from runtime.metrics import BALANCE_API
from schemas.ids import UserId
from simulator.core.world import build
from tests.support.awaiting import eventually
from tests.support.ingesting import ingesting
from tests.support.outage import INTERVAL_S, Outage, outage

WORLD = build(1, network="mainnet", tokens=10, subnets=0, accounts=20)
USERS = [UserId(user) for user in WORLD.accounts]
HOUR_S = 3_600
GONE = 410

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


def times_asked(at: Outage, generation: int, start: int = 0) -> Iterator[float]:
    """Yield when a generation was asked, in seconds."""
    pairs = zip(at.hiro.asked[start:], at.hiro.generations[start:], strict=True)
    for (at_s, _), asked in pairs:
        if asked == generation:
            yield at_s


def in_use(at: Outage) -> int:
    assert BALANCE_API._value.get() == at.accounts.generation
    return at.accounts.generation


def warned(at: Outage) -> str:
    return at.readings.fallback() or ""


def logged(caplog: pytest.LogCaptureFixture, event: str) -> int:
    return sum(record.message == event for record in caplog.records)


async def test_a_generation_that_comes_back_is_in_use_again_without_a_restart(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with outage(tmp_path, USERS) as at:
        at.hiro.refused = {1: GONE}
        await at.pass_s(HOUR_S)
        assert in_use(at) == 2
        assert "v1 of Hiro's balances is gone (410); v2 is read" in warned(at)
        # Twice by each who met it at once, then ever more rarely.
        tried = [at_s for at_s in times_asked(at, 1) if at_s > 100]
        gaps = [after - before for before, after in pairwise(tried)]
        assert len(tried) <= 4
        assert min(gaps) >= 2 * INTERVAL_S - 1
        at.hiro.refused = {}
        await at.pass_s(HOUR_S)
        assert in_use(at) == 1
        assert not warned(at)
        start = len(at.hiro.generations)
        await at.pass_s(int(2 * INTERVAL_S))
        assert set(at.hiro.generations[start:]) == {1}
        # Nobody went without a reading for all that.
        assert at.client.left_alone() == {}
        assert (
            logged(caplog, "balance API switched off, using the next generation") == 1
        )
        assert logged(caplog, "balance API answers again") == 1


@pytest.mark.parametrize("back", [1, 2, 3])
async def test_after_all_were_gone_the_first_to_come_back_is_found_by_single_requests(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, back: int
) -> None:
    async with outage(tmp_path, USERS) as at:
        at.hiro.refused = dict.fromkeys((1, 2, 3), GONE)
        await at.pass_s(300)
        start = len(at.hiro.asked)
        await at.pass_s(HOUR_S)
        assert "hiro" in at.client.left_alone()
        # One probe at a time, half a minute apart at least, each generation in its turn.
        assert len(at.hiro.asked) - start <= HOUR_S / 30
        assert set(at.hiro.generations[start:]) == {1, 2, 3}
        # The source itself is in trouble, which is told elsewhere.
        assert not warned(at)
        written = await at.written()
        del at.hiro.refused[back]
        await at.pass_s(5 * 60)
        assert in_use(at) == back
        assert at.client.left_alone() == {}
        assert await at.written() > written
        # Not one line for each turn.
        assert (
            logged(caplog, "balance API switched off, using the next generation") == 2
        )


async def test_a_generation_that_is_missing_does_not_keep_from_one_that_answers(
    tmp_path: Path,
) -> None:
    async with outage(tmp_path, USERS) as at:
        at.hiro.refused = {1: GONE, 2: 404}
        await at.pass_s(60)
        assert in_use(at) == 3
        assert at.client.left_alone() == {}
        at.hiro.refused = {}
        await at.pass_s(2 * HOUR_S)
        assert in_use(at) == 1


async def test_the_chosen_generation_is_not_given_up_where_it_is_missing(
    tmp_path: Path,
) -> None:
    async with outage(tmp_path, USERS) as at:
        at.hiro.refused = {1: 404}
        await at.pass_s(300)
        # A wrong address, most likely: an operator must see it.
        assert in_use(at) == 1
        assert "404" in at.client.left_alone()["hiro"]


async def test_where_all_are_gone_one_that_fails_in_another_way_does_not_stop_the_turns(
    tmp_path: Path,
) -> None:
    async with outage(tmp_path, USERS) as at:
        at.hiro.refused = dict.fromkeys((1, 2, 3), GONE)
        await at.pass_s(300)
        at.hiro.refused[1] = 500
        await at.pass_s(600)
        del at.hiro.refused[2]
        await at.pass_s(5 * 60)
        assert in_use(at) == 2


async def test_a_trial_that_fails_costs_the_source_nothing(tmp_path: Path) -> None:
    async with outage(tmp_path, USERS, generation=2) as at:
        at.hiro.refused = {2: GONE}
        await at.pass_s(60)
        assert in_use(at) == 3
        at.hiro.refused = {2: 500}
        start = len(at.hiro.asked)
        await at.pass_s(2 * HOUR_S)
        # Each trial is a single request, though a failed one is repeated otherwise.
        assert len(list(times_asked(at, 2, start))) <= 6
        assert at.client.left_alone() == {}
        assert in_use(at) == 3


async def test_an_operator_sees_while_it_lasts_that_another_generation_is_read(
    tmp_path: Path,
) -> None:
    async with ingesting(tmp_path) as ingest:
        await ingest.admin.fault("hiro", "410", path="/extended/v1/*")
        await ingest.lease(USERS[0])
        report = ingest.health.report
        await eventually(lambda: "balance API" in report().warnings)
        assert "STACKS_FEED_ACCOUNTS_API=v2" in report().warnings["balance API"]
