"""Topics of a log: made once, never altered, and their drift is named."""

import pytest

from eventlog.port import Cleanup, EventLog, Partition, TopicSpec, UnknownTopic
from tests.support.logs import RAW, SHARDS, TABLE, TOPICS, OpenHandle, every

UNKNOWN = Partition("nowhere", 0)
BEYOND = Partition(RAW.name, RAW.partitions)


async def test_create_returns_what_it_created(open_log: OpenHandle) -> None:
    async with open_log() as log:
        assert set(await log.create([RAW])) == {RAW.name}
        assert set(await log.create(TOPICS)) == {TABLE.name, SHARDS.name}
        assert await log.create(TOPICS) == ()


async def test_create_never_alters_a_topic(log: EventLog) -> None:
    other = TopicSpec(RAW.name, 7, Cleanup(compact=True, retention_ms=1_000))
    assert await log.create([other]) == ()
    (state,) = await log.describe([RAW])
    assert (state.partitions, state.drift) == (RAW.partitions, ())


async def test_describe_tells_only_of_topics_that_exist(log: EventLog) -> None:
    absent = TopicSpec("absent", 1, Cleanup(compact=False, retention_ms=None))
    states = await log.describe([absent, *TOPICS])
    assert [state.name for state in states] == [topic.name for topic in TOPICS]
    assert all(state.drift == () for state in states)


async def test_describe_names_each_drift(log: EventLog) -> None:
    other = TopicSpec(RAW.name, 7, Cleanup(compact=True, retention_ms=1_000))
    (state,) = await log.describe([other])
    assert state.partitions == RAW.partitions
    found = {drift.setting: (drift.wanted, drift.found) for drift in state.drift}
    assert found["partitions"] == ("7", "3")
    assert found["cleanup.policy"] == ("compact,delete", "delete")
    assert found["retention.ms"] == ("1000", "-1")
    assert {drift.topic for drift in state.drift} == {RAW.name}


async def test_describe_tells_how_long_records_are_kept(log: EventLog) -> None:
    hour = TopicSpec("hour", 1, Cleanup(compact=False, retention_ms=3_600_000))
    both = TopicSpec("both", 1, Cleanup(compact=True, retention_ms=7_200_000))
    await log.create([hour, both])
    states = await log.describe([hour, both, RAW, TABLE])
    kept = [state.retention_ms for state in states]
    assert kept == [3_600_000, 7_200_000, None, None]


async def test_what_one_handle_creates_every_handle_sees(
    log: EventLog, open_log: OpenHandle
) -> None:
    async with open_log() as other:
        assert len(await other.describe(TOPICS)) == len(TOPICS)
        assert await other.ends(every(RAW)) == dict.fromkeys(every(RAW), 0)


@pytest.mark.parametrize("partition", [UNKNOWN, BEYOND], ids=["topic", "partition"])
async def test_asking_for_what_does_not_exist_names_the_topic(
    log: EventLog, partition: Partition
) -> None:
    for ask in (log.ends, log.oldest):
        with pytest.raises(UnknownTopic) as caught:
            await ask([partition])
        assert caught.value.topic == partition.topic
    with pytest.raises(UnknownTopic):
        await log.positions_at([partition], time_ms=0)


@pytest.mark.parametrize("partition", [UNKNOWN, BEYOND], ids=["topic", "partition"])
async def test_a_reader_of_what_does_not_exist_cannot_be_opened(
    log: EventLog, partition: Partition
) -> None:
    with pytest.raises(UnknownTopic):
        async with log.reader({partition: 0}):
            pytest.fail("the reader opened")
