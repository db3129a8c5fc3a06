"""Work on the shards that a group gives: kept through changes, ended by failure."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial

import pytest

from eventlog.port import LogUnavailable, Membership
from eventlog.sharing import Notice, Share
from runtime.supervisor import leaves
from runtime.trouble import Trouble
from tests.support.awaiting import eventually
from tests.support.tasks import beside


class Group:
    """Gives the shares that a test says."""

    def __init__(self, *shares: set[int], away: int = 0) -> None:
        self._now: frozenset[int] = frozenset()
        self._next: asyncio.Queue[frozenset[int]] = asyncio.Queue()
        self._away = away
        self.give(*shares)

    def give(self, *shares: set[int]) -> None:
        for share in shares:
            self._next.put_nowait(frozenset(share))

    def shards(self) -> frozenset[int]:
        return self._now

    async def changed(self) -> frozenset[int]:
        self._now = await self._next.get()
        return self._now

    @asynccontextmanager
    async def join(self) -> AsyncIterator[Membership]:
        if self._away:
            self._away -= 1
            raise LogUnavailable("the test", why="it says so")
        yield self


class Work:
    """Notes when the work on which shard began and ended."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.notices: dict[int, Notice] = {}
        self.failing = asyncio.Event()

    async def serve(self, shard: int, _: Membership, notice: Notice) -> None:
        self.seen.append(f"+{shard}")
        self.notices[shard] = notice
        try:
            await self.failing.wait()
            raise ValueError(f"shard {shard}")
        finally:
            self.seen.append(f"-{shard}")


async def no_pause() -> None:
    """Try again at once."""


def works_on(share: Share, given: set[int]) -> bool:
    return share.shards == given


async def passing(shares: Sequence[set[int]]) -> Work:
    """Give these shares one after the other, each once the one before is worked on."""
    group, work = Group(), Work()
    share = Share(work.serve, name="shard")
    async with beside(share.keep(group.join, pause=no_pause)):
        for given in shares:
            group.give(given)
            await eventually(partial(works_on, share, given))
        work.seen.append("end")
    return work


async def test_shards_that_stay_ours_go_on_and_others_end_first() -> None:
    work = await passing([{0, 1}, {1, 2}, set(), {1}])
    moves = ["+0", "+1", "-0", "+2"]
    assert work.seen[:4] == moves
    assert sorted(work.seen[4:6]) == ["-1", "-2"]
    assert work.seen[6:] == ["+1", "end", "-1"]


async def test_what_is_not_well_is_told_by_shard() -> None:
    group, work = Group(), Work()
    share = Share(work.serve, name="shard")
    assert share.trouble() == "this instance is not yet in the group"
    async with beside(share.keep(group.join, pause=no_pause)):
        group.give({0, 3})
        await eventually(lambda: work.notices.keys() == {0, 3})
        assert share.trouble() is None
        work.notices[3]("being restored")
        work.notices[0]("waits")
        assert share.trouble() == "shard 0: waits; shard 3: being restored"
        work.notices[3](None)
        assert share.trouble() == "shard 0: waits"
        group.give({3})
        await eventually(lambda: share.trouble() is None)


async def test_a_group_that_cannot_be_joined_is_tried_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "eventlog.sharing")
    group, work, pauses = Group({5}, away=2), Work(), []

    async def pause() -> None:
        pauses.append(1)

    share = Share(work.serve, name="shard", new_trouble=Trouble)
    async with beside(share.keep(group.join, pause=pause)):
        await eventually(lambda: share.shards == {5})
    assert len(pauses) == 2
    said = [record.message for record in caplog.records]
    assert said == ["cannot join the group", "in the group again", "shards assigned"]


async def test_failure_of_one_shard_ends_all() -> None:
    group, work = Group({0, 1}), Work()
    share = Share(work.serve, name="shard")
    work.failing.set()
    with pytest.raises(ExceptionGroup) as stopped:
        await share.keep(group.join, pause=no_pause)
    assert {type(each) for each in leaves(stopped.value)} == {ValueError}
    assert share.shards == frozenset()
    assert sorted(work.seen) == ["+0", "+1", "-0", "-1"]
