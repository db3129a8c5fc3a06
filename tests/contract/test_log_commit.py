"""Commits of a log: all or nothing, and of all owners only the newest."""

import pytest

from eventlog.port import (
    Entry,
    EventLog,
    Fenced,
    LogUnavailable,
    RecordTooLarge,
    UnknownTopic,
)
from tests.support.log_process import process
from tests.support.logs import (
    RAW,
    TABLE,
    OpenHandle,
    Place,
    append,
    contents,
    entry,
    every,
    raw,
    read_all,
    read_one,
    table,
    texts,
)

HUGE = Entry(b"key", b"x" * 1_048_577)


async def test_a_commit_stands_in_the_shards_partition_of_each_topic(
    log: EventLog,
) -> None:
    headed = Entry(b"k", b"v", (("commit", b"1"),))
    async with log.own(1) as writer:
        assert writer.shard == 1
        await writer.commit(
            {
                RAW.name: [entry("a"), headed, entry("c")],
                TABLE.name: [Entry(b"gone", None)],
            }
        )
    found = await read_all(log, every(RAW, TABLE))
    assert contents(found.pop(raw(1))) == [entry("a"), headed, entry("c")]
    assert contents(found.pop(table(1))) == [Entry(b"gone", None)]
    assert not any(found.values())


async def test_a_log_says_whether_a_commit_has_one_append_time(log: EventLog) -> None:
    async with log.own(1) as writer:
        await writer.commit(
            {RAW.name: [entry("a"), entry("b")], TABLE.name: [entry("c")]}
        )
    found = await read_all(log, [raw(1), table(1)])
    times = {record.time_ms for records in found.values() for record in records}
    assert len(times) == 1 or not log.one_time_a_commit


async def test_commits_follow_one_another_in_order(log: EventLog) -> None:
    async with log.own(0) as writer:
        for number in range(10):
            await writer.commit({RAW.name: [entry(str(number))] * 3})
    written = [int(text) for text in texts(await read_one(log, raw(0)))]
    assert written == sorted(list(range(10)) * 3)


async def test_a_writer_knows_where_its_partitions_end(log: EventLog) -> None:
    async with log.own(1) as writer:
        assert not writer.ends
        await writer.commit({RAW.name: [entry("a"), entry("b")], TABLE.name: []})
        await writer.commit({RAW.name: [entry("c")]})
        assert set(writer.ends) == {RAW.name}
        *_, last = await read_one(log, raw(1))
        assert writer.ends[RAW.name] == last.offset + 1


async def test_a_commit_of_nothing_writes_nothing(log: EventLog) -> None:
    async with log.own(0) as writer:
        await writer.commit({})
        await writer.commit({RAW.name: []})
        await writer.commit({RAW.name: [entry("a")]})
    assert texts(await read_one(log, raw(0))) == ["a"]


async def test_commits_and_appends_share_a_partition(log: EventLog) -> None:
    async with log.own(0) as writer:
        await append(log, raw(0), "a")
        await writer.commit({RAW.name: [entry("b")]})
        await append(log, raw(0), "c")
    records = await read_one(log, raw(0))
    assert texts(records) == ["a", "b", "c"]
    offsets = [record.offset for record in records]
    assert offsets == sorted(set(offsets))


async def test_of_two_owners_only_the_newer_commits(
    log: EventLog, open_log: OpenHandle
) -> None:
    async with open_log() as other, log.own(0) as older, other.own(0) as newer:
        with pytest.raises(Fenced) as caught:
            await older.commit({RAW.name: [entry("old")], TABLE.name: [entry("old")]})
        assert caught.value.shard == 0
        await newer.commit({RAW.name: [entry("new")]})
        with pytest.raises(Fenced):
            await older.commit({RAW.name: [entry("old")]})
    assert texts(await read_one(log, raw(0))) == ["new"]
    assert await read_one(log, table(0)) == []


async def test_an_owner_that_has_committed_is_fenced_all_the_same(
    log: EventLog, open_log: OpenHandle
) -> None:
    async with open_log() as other, log.own(0) as older:
        await older.commit({RAW.name: [entry("first")]})
        async with other.own(0) as newer:
            await newer.commit({RAW.name: [entry("second")]})
            with pytest.raises(Fenced):
                await older.commit({RAW.name: [entry("third")]})
    assert texts(await read_one(log, raw(0))) == ["first", "second"]


async def test_a_process_can_fence_itself(log: EventLog) -> None:
    async with log.own(0) as older, log.own(0) as newer:
        with pytest.raises(Fenced):
            await older.commit({RAW.name: [entry("old")]})
        await newer.commit({RAW.name: [entry("new")]})
    assert texts(await read_one(log, raw(0))) == ["new"]


async def test_owners_of_different_shards_do_not_fence_one_another(
    log: EventLog,
) -> None:
    async with log.own(0) as zero, log.own(1) as one:
        await zero.commit({RAW.name: [entry("zero")]})
        await one.commit({RAW.name: [entry("one")]})
        await zero.commit({RAW.name: [entry("zero")]})
    found = await read_all(log, [raw(0), raw(1)])
    assert texts(found[raw(0)]) == ["zero", "zero"]
    assert texts(found[raw(1)]) == ["one"]


async def test_a_shard_can_be_owned_again_after_it_was_let_go(log: EventLog) -> None:
    for number in range(3):
        async with log.own(2) as writer:
            await writer.commit({RAW.name: [entry(str(number))]})
    assert texts(await read_one(log, raw(2))) == ["0", "1", "2"]


async def test_a_record_too_large_spoils_the_whole_commit(log: EventLog) -> None:
    async with log.own(0) as writer:
        with pytest.raises(RecordTooLarge) as caught:
            await writer.commit({RAW.name: [entry("a")], TABLE.name: [HUGE]})
        assert caught.value.topic == TABLE.name
        with pytest.raises(LogUnavailable, match="anew"):
            await writer.commit({RAW.name: [entry("b")]})
        async with log.own(0) as fresh:
            await fresh.commit({RAW.name: [entry("c")]})
    assert texts(await read_one(log, raw(0))) == ["c"]
    assert await read_one(log, table(0)) == []


async def test_an_unknown_topic_spoils_the_whole_commit(log: EventLog) -> None:
    async with log.own(0) as writer:
        with pytest.raises(UnknownTopic):
            await writer.commit({RAW.name: [entry("a")], "nowhere": [entry("b")]})
    async with log.own(RAW.partitions) as writer:
        with pytest.raises(UnknownTopic):
            await writer.commit({RAW.name: [entry("a")]})
    assert await read_one(log, raw(0)) == []


async def test_another_process_fences_too(log: EventLog, place: Place) -> None:
    async with log.own(0) as older:
        async with process(place, "commit", "theirs") as other:
            assert await other.says() == "done"
        with pytest.raises(Fenced):
            await older.commit({RAW.name: [entry("ours")]})
    assert texts(await read_one(log, raw(0))) == ["theirs"]


@pytest.mark.parametrize("commits", [1, 3])
async def test_a_process_killed_in_its_commits_leaves_none_of_them_half_done(
    log: EventLog, place: Place, commits: int
) -> None:
    size = 500
    async with process(place, "commits", str(size)) as other:
        acknowledged = [await other.says() for _ in range(commits)]
        await other.kill()
        while last := await other.says():
            acknowledged.append(last)
    async with log.own(0) as writer:
        found = await read_all(log, [raw(0), table(0)])
        written = texts(found[raw(0)])
        assert written == texts(found[table(0)])
        assert written[: len(acknowledged) * size : size] == acknowledged
        assert len(written) % size == 0
        assert len(written) // size - len(acknowledged) in {0, 1}
        await writer.commit({RAW.name: [entry("after")]})
    assert texts(await read_one(log, raw(0)))[-1] == "after"


async def test_the_end_can_be_reached_after_commits_that_failed(
    log: EventLog, open_log: OpenHandle
) -> None:
    async with open_log() as other, log.own(0) as older:
        await older.commit({RAW.name: [entry("a")]})
        async with other.own(0) as newer:
            with pytest.raises(Fenced):
                await older.commit({RAW.name: [entry("b")]})
            with pytest.raises(RecordTooLarge):
                await newer.commit({RAW.name: [HUGE]})
    assert texts(await read_one(log, raw(0))) == ["a"]  # reads up to the end
    ends = await log.ends([raw(0)])
    async with log.reader(ends) as reader:
        assert reader.position(raw(0)) == ends[raw(0)]
        assert await reader.read(max_records=1, wait_s=0) == {}
