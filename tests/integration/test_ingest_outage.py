"""An upstream that is away for an hour, in simulated time."""

from collections import Counter
from pathlib import Path

import pytest

from ingest.core.budget import OPENS_AFTER
from runtime.metrics import BREAKER_OPEN, REQUESTS
from schemas.ids import UserId
from simulator.core.world import build
from tests.support.outage import PER_MINUTE, outage

WORLD = build(1, network="mainnet", tokens=10, subnets=0, accounts=65)
USERS = [UserId(user) for user in WORLD.accounts]
OLD, NEW = USERS[:60], USERS[60:]
READERS, ATTEMPTS, HOUR_S = 8, 3, 3_600


@pytest.mark.slow
@pytest.mark.timeout(90)
async def test_an_hour_without_upstream_costs_few_requests_and_no_storm_follows(
    tmp_path: Path,
) -> None:
    async with outage(tmp_path, OLD) as at:
        await at.pass_s(100)
        assert {user for _, user in at.hiro.asked} == set(OLD)
        before, written = len(at.hiro.asked), await at.written()

        at.hiro.down = True
        await at.pass_s(HOUR_S // 2)
        at.readings.watch(USERS)
        await at.pass_s(HOUR_S // 2)
        # What was in flight with all its attempts, then one probe after the other, each
        # at least half of a minute after the last once the breaker knows.
        tried = len(at.hiro.asked) - before
        assert tried <= READERS * ATTEMPTS + OPENS_AFTER + HOUR_S / 30
        assert await at.written() == written
        assert at.client.left_alone() == {"hiro": "ConnectError: nobody there"}
        assert BREAKER_OPEN.labels("hiro")._value.get() == 1
        assert REQUESTS.labels("hiro", "connection")._value.get() >= tried

        at.hiro.down = False
        back = len(at.hiro.asked)
        await at.pass_s(61 + 45)
        assert at.client.left_alone() == {}
        assert BREAKER_OPEN.labels("hiro")._value.get() == 0
        order = [user for _, user in at.hiro.asked[back:]]
        # After the probe who was never read goes first; nobody is read twice before all
        # are read once.
        assert set(NEW) <= set(order[: 1 + len(NEW)])
        assert len(order[: len(USERS)]) == len(set(order[: len(USERS)])) == len(USERS)
        assert at.hiro.busiest_minute() <= PER_MINUTE
        assert await at.written() == written + len(order)


async def test_one_request_finds_out_whether_a_source_is_back(tmp_path: Path) -> None:
    async with outage(tmp_path, OLD) as at:
        at.hiro.down = True
        await at.pass_s(30)
        assert "hiro" in at.client.left_alone()
        tried = len(at.hiro.asked)
        # Everybody is due, and somebody wants all of them now: still one at a time.
        at.readings.refresh()
        for _ in range(20):
            await at.pass_s(10)
            assert len(at.hiro.asked) - tried <= 1
            tried = len(at.hiro.asked)


async def test_who_fails_alone_costs_the_others_nothing(tmp_path: Path) -> None:
    async with outage(tmp_path, OLD) as at:
        at.hiro.broken = OLD[0]
        await at.pass_s(100)
        for _ in range(20):
            await at.pass_s(30)
            assert at.client.left_alone() == {}
        times = Counter(user for _, user in at.hiro.asked)
        assert {times[user] for user in OLD[1:]} == {3}
        assert times[OLD[0]] > ATTEMPTS * OPENS_AFTER


async def test_who_fails_for_long_does_not_keep_a_source_shut_that_is_back(
    tmp_path: Path,
) -> None:
    async with outage(tmp_path, OLD) as at:
        at.hiro.broken, at.hiro.down = OLD[0], True
        await at.pass_s(200)
        assert "hiro" in at.client.left_alone()
        at.hiro.down = False
        await at.pass_s(100)
        assert at.client.left_alone() == {}
        assert await at.written() >= len(OLD) - 1
