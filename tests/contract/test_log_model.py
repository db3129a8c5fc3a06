"""A law of logs: whatever was written is read back, as from a list."""

from contextlib import AsyncExitStack

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eventlog.port import Entry, EventLog, Partition, ShardWriter
from tests.support.logs import PARTITIONS, RAW, TABLE, contents, every, read_all

names = st.text(st.characters(codec="utf-8"), max_size=5)
headers = st.lists(st.tuples(names, st.binary(max_size=5)), max_size=2).map(tuple)
blobs = st.one_of(st.none(), st.binary(max_size=20))
raw_entries = st.lists(st.builds(Entry, blobs, blobs, headers), max_size=6)
# A broker takes no record without a key into a compacted topic.
keyed = st.builds(Entry, st.binary(max_size=3), blobs, st.just(()))
table_entries = st.lists(keyed, max_size=6)
shards = st.integers(0, PARTITIONS - 1)
appends = st.lists(st.tuples(shards, raw_entries), max_size=3)
commits = st.tuples(
    shards, st.fixed_dictionaries({RAW.name: raw_entries, TABLE.name: table_entries})
)
Step = list[tuple[int, list[Entry]]] | tuple[int, dict[str, list[Entry]]]


async def write(log: EventLog, writers: list[ShardWriter], step: Step) -> None:
    if isinstance(step, list):
        await log.append(RAW.name, [(n, e) for n, part in step for e in part])
    else:
        shard, entries = step
        await writers[shard].commit(entries)


def expected(steps: list[Step]) -> dict[Partition, list[Entry]]:
    model: dict[Partition, list[Entry]] = {p: [] for p in every(RAW, TABLE)}
    for step in steps:
        if isinstance(step, list):
            for number, part in step:
                model[Partition(RAW.name, number)] += part
        else:
            for topic, part in step[1].items():
                model[Partition(topic, step[0])] += part
    return model


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    steps=st.lists(st.one_of(appends, commits), max_size=4),
    max_records=st.integers(1, 30),
)
async def test_what_is_read_is_what_was_written(
    log: EventLog, steps: list[Step], max_records: int
) -> None:
    partitions = every(RAW, TABLE)
    start = await log.ends(partitions)  # the log goes on from example to example
    async with AsyncExitStack() as stack:
        writers = [
            await stack.enter_async_context(log.own(n)) for n in range(PARTITIONS)
        ]
        for step in steps:
            await write(log, writers, step)
    found = await read_all(log, partitions, start=start, max_records=max_records)
    assert {p: contents(records) for p, records in found.items()} == expected(steps)
