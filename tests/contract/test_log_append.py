"""Appends and reads of a log: order, contents, positions, limits."""

from random import Random

import pytest

from eventlog.port import (
    MAX_RECORD_BYTES,
    Entry,
    EventLog,
    Headers,
    OffsetOutOfRange,
    RecordTooLarge,
    UnknownTopic,
    read_to,
    record_bytes,
)
from tests.support.logs import (
    LONG_S,
    RAW,
    SHORT_S,
    TABLE,
    OpenHandle,
    append,
    contents,
    entry,
    every,
    raw,
    read_all,
    read_one,
    texts,
)

MANY = [str(n) for n in range(100)]


async def test_append_returns_the_offset_of_each_record(log: EventLog) -> None:
    offsets = await log.append(
        RAW.name, [(0, entry("a")), (1, entry("b")), (0, entry("c"))]
    )
    assert offsets == (0, 0, 1)
    assert await append(log, raw(1), "d", "e") == (1, 2)


async def test_an_append_of_nothing_is_nothing(log: EventLog) -> None:
    assert await log.append(RAW.name, []) == ()
    assert await log.ends([raw(0)]) == {raw(0): 0}


async def test_each_partition_keeps_the_order_of_appends(log: EventLog) -> None:
    await log.append(RAW.name, [(n % 3, entry(str(n))) for n in range(90)])
    found = await read_all(log, every(RAW))
    for number in range(3):
        assert texts(found[raw(number)]) == [str(n) for n in range(number, 90, 3)]
        assert [r.offset for r in found[raw(number)]] == list(range(30))


async def test_what_is_appended_is_read_by_another_handle(
    log: EventLog, open_log: OpenHandle
) -> None:
    await append(log, raw(0), *MANY)
    async with open_log() as other:
        assert texts(await read_one(other, raw(0))) == MANY


async def test_a_log_keeps_what_it_has_when_it_is_closed(
    open_log: OpenHandle,
) -> None:
    async with open_log() as log:
        await log.create([RAW])
        await append(log, raw(2), *MANY)
    async with open_log() as log:
        assert texts(await read_one(log, raw(2))) == MANY
        assert await append(log, raw(2), "next") == (100,)


@pytest.mark.parametrize(
    "written",
    [
        pytest.param(Entry(None, b"value"), id="null key"),
        pytest.param(Entry(b"", b"value"), id="empty key"),
        pytest.param(Entry(b"key", b""), id="empty value"),
        pytest.param(Entry(b"key", None), id="tombstone"),
        pytest.param(Entry(b"k\0\xff", b"v\0\xff"), id="any bytes"),
        pytest.param(Entry(b"k", b"v", (("a", b"1"), ("a", b""))), id="headers"),
        pytest.param(Entry(b"k", None, (("é", b"\0"),)), id="odd headers"),
    ],
)
async def test_a_record_comes_back_as_it_was_written(
    log: EventLog, written: Entry
) -> None:
    await log.append(RAW.name, [(0, written)])
    assert contents(await read_one(log, raw(0))) == [written]


async def test_a_record_of_nearly_a_mebibyte_is_taken(log: EventLog) -> None:
    big = Entry(b"key", b"x" * (1_048_576 - 1_000))
    await log.append(RAW.name, [(0, big)])
    assert contents(await read_one(log, raw(0))) == [big]


def filled(size_bytes: int, *, headers: Headers = ()) -> Entry:
    """Return an entry of random bytes that counts so many for the limit."""
    rest = size_bytes - record_bytes(Entry(b"key", b"", headers))
    return Entry(b"key", Random(1).randbytes(rest), headers)


@pytest.mark.parametrize(
    "headers", [(), (("h", b"v" * 40), ("another", b""))], ids=["none", "two"]
)
async def test_every_log_has_the_same_limit_of_a_record(
    log: EventLog, headers: Headers
) -> None:
    largest = filled(MAX_RECORD_BYTES, headers=headers)
    await log.append(RAW.name, [(0, largest)])
    async with log.own(1) as writer:
        await writer.commit({RAW.name: [largest]})
    with pytest.raises(RecordTooLarge) as caught:
        await log.append(RAW.name, [(0, filled(MAX_RECORD_BYTES + 1, headers=headers))])
    error = caught.value
    assert (error.size_bytes, error.limit_bytes) == (1_048_577, MAX_RECORD_BYTES)
    assert contents(await read_one(log, raw(0))) == [largest]
    assert contents(await read_one(log, raw(1))) == [largest]


async def test_a_record_above_the_limit_is_refused_and_nothing_is_written(
    log: EventLog,
) -> None:
    huge = Entry(b"key", b"x" * 1_048_577)
    with pytest.raises(RecordTooLarge) as caught:
        await log.append(RAW.name, [(0, entry("small")), (0, huge)])
    assert caught.value.topic == RAW.name
    assert caught.value.limit_bytes < caught.value.size_bytes
    assert await read_one(log, raw(0)) == []
    await append(log, raw(0), "the handle goes on")


async def test_an_append_to_an_unknown_topic_is_refused(log: EventLog) -> None:
    with pytest.raises(UnknownTopic, match="topics apply"):
        await log.append("nowhere", [(0, entry("lost"))])
    with pytest.raises(UnknownTopic):
        await log.append(RAW.name, [(RAW.partitions, entry("lost"))])


async def test_a_reader_starts_where_it_is_told(log: EventLog) -> None:
    await append(log, raw(0), *MANY)
    found = await read_all(log, [raw(0)], start={raw(0): 60})
    assert texts(found[raw(0)]) == MANY[60:]


async def test_a_read_returns_at_most_what_it_was_asked_for(log: EventLog) -> None:
    await log.append(RAW.name, [(n % 3, entry(str(n))) for n in range(90)])
    async with log.reader(dict.fromkeys(every(RAW), 0)) as reader:
        seen: list[str] = []
        while len(seen) < 90:
            batches = await reader.read(max_records=7, wait_s=LONG_S)
            records = [r for batch in batches.values() for r in batch]
            assert 0 < len(records) <= 7
            assert all(batches.values())
            seen += texts(records)
    assert sorted(seen, key=int) == [str(n) for n in range(90)]


async def test_a_full_partition_does_not_starve_the_others(log: EventLog) -> None:
    await append(log, raw(0), *MANY)
    await append(log, raw(1), "one")
    await append(log, raw(2), "two")
    async with log.reader(dict.fromkeys(every(RAW), 0)) as reader:
        seen: set[str] = set()
        for _ in range(12):
            batches = await reader.read(max_records=10, wait_s=LONG_S)
            seen |= {text for batch in batches.values() for text in texts(batch)}
            if {"one", "two"} <= seen:
                break
    assert {"one", "two"} <= seen


async def test_a_read_with_nothing_to_read_is_empty(log: EventLog) -> None:
    await append(log, raw(0), "a")
    async with log.reader({raw(0): 1, raw(1): 0}) as reader:
        assert await reader.read(max_records=10, wait_s=SHORT_S) == {}
        assert await reader.read(max_records=10, wait_s=0) == {}


async def test_positions_pass_what_was_returned_and_no_more(log: EventLog) -> None:
    await append(log, raw(0), *MANY)
    async with log.reader({raw(0): 10}) as reader:
        assert reader.position(raw(0)) == 10
        batches = await reader.read(max_records=5, wait_s=LONG_S)
        assert texts(batches[raw(0)]) == MANY[10 : 10 + len(batches[raw(0)])]
        assert reader.position(raw(0)) == batches[raw(0)][-1].offset + 1


async def test_seeking_back_and_forward_reads_from_there(log: EventLog) -> None:
    await append(log, raw(0), *MANY)
    async with log.reader({raw(0): 50}) as reader:
        await reader.read(max_records=10, wait_s=LONG_S)
        for position in (3, 90, 0):
            reader.seek(raw(0), position)
            assert reader.position(raw(0)) == position
            batches = await reader.read(max_records=10, wait_s=LONG_S)
            got = batches[raw(0)]
            assert texts(got) == MANY[position : position + len(got)]


async def test_a_position_above_the_end_is_out_of_range(log: EventLog) -> None:
    await append(log, raw(0), "a", "b")
    async with log.reader({raw(0): 3}) as reader:
        with pytest.raises(OffsetOutOfRange) as caught:
            await reader.read(max_records=10, wait_s=LONG_S)
        error = caught.value
        assert (error.partition, error.offset) == (raw(0), 3)
        assert (error.oldest, error.end) == (0, 2)
        reader.seek(raw(0), 1)
        assert texts((await reader.read(max_records=10, wait_s=LONG_S))[raw(0)]) == [
            "b"
        ]


async def test_ends_and_oldest_of_many_partitions(log: EventLog) -> None:
    await append(log, raw(1), "a", "b")
    assert await log.ends(every(RAW)) == {raw(0): 0, raw(1): 2, raw(2): 0}
    assert await log.oldest(every(RAW, TABLE)) == dict.fromkeys(every(RAW, TABLE), 0)


async def test_two_readers_of_one_handle_are_independent(log: EventLog) -> None:
    await append(log, raw(0), *MANY)
    start, ends = {raw(0): 0}, await log.ends([raw(0)])
    async with log.reader(start) as first, log.reader(start) as second:
        a, b = read_to(first, ends, max_records=40), read_to(second, ends)
        assert [r async for batches in a for r in batches[raw(0)]] == [
            r async for batches in b for r in batches[raw(0)]
        ]
