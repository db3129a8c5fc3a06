"""Several ingests at one log: the work is divided, moves, and nobody is forgotten."""

import sys
from collections.abc import Collection
from pathlib import Path

import pytest

from runtime.clock import SystemClock
from tests.support.awaiting import eventually
from tests.support.crowd import PARTITIONS, Crowd, Member, crowd, shard_of
from tests.support.logs import Place
from tests.support.places import KINDS, fresh_place

ALL = frozenset(range(PARTITIONS))
pytestmark = [pytest.mark.slow, pytest.mark.timeout(90)]


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return fresh_place(request, tmp_path)


def divided(members: Collection[Member]) -> bool:
    """Tell whether each shard is with exactly one member, and each has some."""
    shares = [member.shards for member in members]
    return all(shares) and sorted(n for share in shares for n in share) == sorted(ALL)


async def each_read_by_its_owner(
    at: Crowd, members: Collection[Member], times: int
) -> int:
    """Wait until all users were read so often, by nobody but their owner; return where.

    What was in flight when the shards moved may come first.
    """
    owner = {n: member.number for member in members for n in member.shards}

    def lately(start: int) -> bool:
        by = at.seen.readers(start)
        return len(by) == len(at.users) and min(map(len, by.values())) >= times

    start = len(at.seen.all)
    await at.seen.until(lambda _: lately(start))
    settled = len(at.seen.all)
    await at.seen.until(lambda _: lately(settled))
    for user, readers in at.seen.readers(settled).items():
        assert set(readers) == {owner[shard_of(user)]}, user
    assert at.seen.pricers(settled) <= {str(owner[0])}
    return settled


async def test_work_is_divided_and_what_stays_with_an_instance_goes_on(
    place: Place,
) -> None:
    async with crowd(place) as at:
        members = [await at.join(1), await at.join(2)]
        await eventually(lambda: divided(members))
        await each_read_by_its_owner(at, members, 3)
        before = {n: member.number for member in members for n in member.shards}
        start = len(at.seen.all)

        members.append(await at.join(3))
        await eventually(lambda: divided(members))
        await each_read_by_its_owner(at, members, 3)
        after = {n: member.number for member in members for n in member.shards}
        moved = {n for n in ALL if before[n] != after[n]}
        assert moved < ALL
        # Whoever stayed was only confirmed; whoever moved was read whole by the new.
        assert at.seen.whole(start) == {u for u in at.users if shard_of(u) in moved}

        last = members.pop()
        last.task.cancel()
        await eventually(lambda: divided(members))
        await each_read_by_its_owner(at, members, 2)
        assert all(member.health.report().ready for member in members)


async def test_the_users_of_an_instance_that_is_killed_are_read_by_another(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = SystemClock()
    async with crowd(place) as at:
        survivor, lone = await at.join(1), await at.join_process(2)
        await at.read_by(1, 2)
        await lone.kill()
        killed_s, start = clock.monotonic_s(), len(at.seen.all)
        await at.read_by(1, start=start)
        took_s = clock.monotonic_s() - killed_s
        said = (
            f"\nusers of a killed ingest are read again, {place.kind}: {took_s:.1f} s"
        )
        with capsys.disabled():
            sys.stdout.write(f"{said}\n")
        assert survivor.shards == ALL
        await at.seen.until(lambda _: at.seen.pricers(start) == {"1"})
