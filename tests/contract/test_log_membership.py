"""Membership of a log: the shards are shared out among those who live."""

import asyncio

import pytest

from eventlog.port import SHARDS_TOPIC, EventLog, Membership, UnknownTopic
from tests.support.log_process import GROUP, process
from tests.support.logs import LONG_S, PARTITIONS, OpenHandle, Place

ALL = frozenset(range(PARTITIONS))


def shared_out(*members: Membership) -> bool:
    """Tell whether each shard is with exactly one member, and each member has one."""
    shares = [member.shards() for member in members]
    served = [shard for share in shares for shard in share]
    return all(shares) and sorted(served) == sorted(ALL)


async def settled(*members: Membership) -> None:
    """Wait until the shards are shared out among these members."""
    done = asyncio.Event()

    async def watch(member: Membership) -> None:
        while not shared_out(*members):
            await member.changed()
        done.set()

    async with asyncio.timeout(LONG_S), asyncio.TaskGroup() as tasks:
        watching = [tasks.create_task(watch(m), name="watch") for m in members]
        await done.wait()
        for task in watching:
            task.cancel()


async def some_but_not_all(member: Membership) -> None:
    async with asyncio.timeout(LONG_S):
        while not ALL > member.shards() > frozenset():
            await member.changed()


async def test_a_member_alone_has_all_shards(log: EventLog) -> None:
    async with log.member(GROUP, instance="one") as member:
        await settled(member)
        assert member.shards() == ALL


async def test_two_members_share_without_overlap(
    log: EventLog, open_log: OpenHandle
) -> None:
    async with open_log() as other, log.member(GROUP, instance="one") as one:
        await settled(one)
        async with other.member(GROUP, instance="two") as two:
            await settled(one, two)


async def test_the_shards_of_a_member_that_leaves_are_given_to_the_others(
    log: EventLog, open_log: OpenHandle
) -> None:
    async with open_log() as other, log.member(GROUP, instance="one") as one:
        async with other.member(GROUP, instance="two") as two:
            await settled(one, two)
        await settled(one)


async def test_groups_do_not_share_with_one_another(log: EventLog) -> None:
    async with (
        log.member(GROUP, instance="one") as one,
        log.member("another", instance="one") as other,
    ):
        await settled(one)
        await settled(other)


async def test_there_can_be_more_members_than_shards(
    log: EventLog, open_log: OpenHandle
) -> None:
    async with (
        open_log() as other,
        log.member(GROUP, instance="a") as one,
        log.member(GROUP, instance="b") as two,
        other.member(GROUP, instance="c") as three,
    ):
        await settled(one, two, three)
        async with other.member(GROUP, instance="d"):
            pass
        await settled(one, two, three)


async def test_the_shards_of_a_killed_process_move(log: EventLog, place: Place) -> None:
    async with process(place, "member", "other") as other:
        assert await other.says()
        async with log.member(GROUP, instance="one") as one:
            await some_but_not_all(one)
            await other.kill()
            await settled(one)


async def test_joining_needs_the_topic_of_shards(open_log: OpenHandle) -> None:
    async with open_log() as log:
        with pytest.raises(UnknownTopic, match=SHARDS_TOPIC):
            async with log.member(GROUP, instance="one"):
                pytest.fail("joined")
