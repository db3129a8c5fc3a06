"""Retention and compaction of a SQLite log: what goes, what stays, in what steps."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from sqlite3 import Connection

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventlog.port import (
    Cleanup,
    Entry,
    Fenced,
    OffsetOutOfRange,
    Partition,
    TopicSpec,
    read_to,
)
from eventlog.sqlite import cleaner, open_sqlite
from eventlog.sqlite.cleaner import clean
from tests.support.logs import LONG_S, read_one, texts
from tests.support.sqlite_logs import (
    HOUR_MS,
    HandClock,
    Insides,
    config_of,
    insides_of,
)

DAY_MS = 24 * HOUR_MS
COMPACT = TopicSpec("table", 1, Cleanup(compact=True, retention_ms=None))
DELETE = TopicSpec("raw", 1, Cleanup(compact=False, retention_ms=HOUR_MS))
# What is old goes once the oldest is so much over its time.
LATE_MS = HOUR_MS // 10
BOTH = TopicSpec("demand", 1, Cleanup(compact=True, retention_ms=HOUR_MS))


def anyone(_: Connection) -> None:
    """Let anyone clean."""


def clean_all(log: Insides) -> int:
    """Clean until nothing is due; return the number of slices."""
    return sum(1 for _ in clean(log.session, anyone))


@pytest.fixture
def table(tmp_path: Path) -> Iterator[Insides]:
    log = insides_of(tmp_path / "table", COMPACT, dirty_min=1)
    yield log
    log.session.close()


@pytest.fixture
def old(tmp_path: Path) -> Iterator[Insides]:
    log = insides_of(tmp_path / "old", DELETE)
    yield log
    log.session.close()


def values(keys: str) -> list[Entry]:
    """Return a record for each letter; a capital is its tombstone."""
    return [
        Entry(key.lower().encode(), None if key.isupper() else b"value") for key in keys
    ]


def test_compaction_keeps_the_newest_record_of_each_key(table: Insides) -> None:
    table.write(*values("abacab"))
    clean_all(table)
    assert table.offsets() == [3, 4, 5]


def test_what_is_new_replaces_what_was_kept_before(table: Insides) -> None:
    table.write(*values("abc"))
    clean_all(table)
    table.write(*values("ca"))
    clean_all(table)
    assert table.offsets() == [1, 3, 4]
    assert (table.column("cleaned"), table.column("kept")) == (5, 3)


def test_records_without_a_key_stay(table: Insides) -> None:
    table.write(Entry(None, b"1"), Entry(None, b"2"), *values("aa"))
    clean_all(table)
    assert table.offsets() == [0, 1, 3]


def test_a_tombstone_stays_its_time_and_then_goes(table: Insides) -> None:
    table.write(*values("abA"))
    clean_all(table)
    assert table.offsets() == [1, 2]
    hours = table.age(COMPACT.cleanup.tombstones_ms - 1)
    clean_all(table)
    assert table.offsets() == [1, 2, 2 + hours]
    table.age(1)
    clean_all(table)
    assert table.offsets() == [1, 3 + hours]
    assert clean_all(table) == 0


def test_an_old_tombstone_never_goes_before_what_it_covers(table: Insides) -> None:
    table.write(*values("a" * 1_200 + "A"))
    end = 1_200 + table.age(COMPACT.cleanup.tombstones_ms)
    for _ in clean(table.session, anyone):
        left = [offset for offset in table.offsets() if offset <= 1_200]
        assert left == [] or left[-1] == 1_200
    assert table.offsets() == [end]


def test_compaction_waits_until_enough_is_new(tmp_path: Path) -> None:
    log = insides_of(tmp_path / "log", COMPACT, dirty_min=4)
    log.write(*values("aaa"))
    assert clean_all(log) == 0
    log.write(*values("a"))
    clean_all(log)
    assert log.offsets() == [3]
    log.session.close()


def test_keys_that_do_not_fit_in_memory_wait_for_the_next_pass(
    table: Insides, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cleaner, "_MAX_KEYS", 3)
    monkeypatch.setattr(cleaner, "_LOOK_RECORDS", 2)
    table.write(*values("abcdeabcde"))
    for _ in range(5):
        clean_all(table)
    assert table.offsets() == [5, 6, 7, 8, 9]


@given(st.lists(st.text("abcdABCD", max_size=8), max_size=6))
def test_compaction_never_changes_what_a_reader_of_it_all_ends_with(
    tmp_path_factory: pytest.TempPathFactory, written: list[str]
) -> None:
    log = insides_of(tmp_path_factory.mktemp("log") / "log", COMPACT, dirty_min=1)
    offsets: dict[str, int] = {}
    for keys in written:
        first = log.column("next")
        assert isinstance(first, int)
        log.write(*values(keys))
        offsets |= {key.lower(): first + at for at, key in enumerate(keys)}
        clean_all(log)
        assert log.offsets() == sorted(offsets.values())
    log.session.close()


def test_retention_drops_what_is_older(old: Insides) -> None:
    old.write(*values("ab"))
    old.age(HOUR_MS // 2)
    old.write(*values("cd"))
    old.age(HOUR_MS // 2 + LATE_MS)
    assert clean_all(old) == 0
    assert old.offsets() == [0, 1, 2, 3, 4, 5]
    old.age(1)
    clean_all(old)
    assert old.offsets() == [2, 3, 4, 5, 6]
    assert old.column("oldest") == 2


def test_the_newest_record_is_not_old_whatever_the_clock_says(old: Insides) -> None:
    old.write(*values("abc"))
    old.clock.ms += 100 * DAY_MS
    assert clean_all(old) == 0
    old.write(*values("d"))
    old.age(2 * HOUR_MS)
    clean_all(old)
    assert (old.offsets(), old.column("oldest")) == ([4, 5], 4)


def test_a_record_that_a_wrong_clock_dated_ahead_holds_what_follows_it(
    old: Insides,
) -> None:
    old.clock.ms = DAY_MS
    old.write(*values("a"))
    old.clock.ms -= HOUR_MS // 2
    old.write(*values("b"))
    old.age(HOUR_MS + LATE_MS, step_ms=HOUR_MS // 2)
    clean_all(old)
    assert old.offsets()[0] == 0
    old.age(HOUR_MS // 2 + 1)
    clean_all(old)
    assert old.column("oldest") == 3


def test_both_policies_drop_what_is_old_and_what_is_replaced(tmp_path: Path) -> None:
    log = insides_of(tmp_path / "log", BOTH, dirty_min=1)
    log.write(*values("abcb"))
    clean_all(log)
    log.age(HOUR_MS + LATE_MS + 1)
    log.write(*values("dcd"))
    clean_all(log)
    assert log.offsets() == [5, 7, 8]
    log.session.close()


def test_slices_are_bounded_by_records_and_by_bytes(old: Insides) -> None:
    old.write(*values("a" * 1_000))
    old.write(*[Entry(b"a", b"x" * 600_000)] * 10)
    old.age(2 * HOUR_MS)
    counts = [len(old.offsets())]
    for _ in clean(old.session, anyone):
        counts.append(len(old.offsets()))  # noqa: PERF401 - counted while it goes on
    steps = [before - after for before, after in pairwise(counts)]
    assert max(steps) <= 250
    assert steps[-4:] == [2, 2, 2, 2]
    assert old.offsets() == [1_010, 1_011]


def test_only_the_one_allowed_cleans(table: Insides) -> None:
    def nobody(_: Connection) -> None:
        raise Fenced(0)

    table.write(*values("aa"))
    with pytest.raises(Fenced):
        for _ in clean(table.session, nobody):
            pass
    assert table.offsets() == [0, 1]


async def test_the_owner_of_shard_zero_cleans_and_readers_go_on(tmp_path: Path) -> None:
    config = config_of(tmp_path / "log", HandClock(), clean_every_s=0, dirty_min=1)
    part = Partition(COMPACT.name, 0)
    async with open_sqlite(config) as log:
        await log.create([COMPACT])
        async with log.reader({part: 0}) as reader, log.own(0) as writer:
            await writer.commit({COMPACT.name: values("ab")})
            seen = [*(await reader.read(max_records=1, wait_s=LONG_S))[part]]
            for _ in range(40):
                await writer.commit({COMPACT.name: values("ab")})
            async for batches in read_to(reader, await log.ends([part])):
                seen += batches[part]
            while len(await read_one(log, part)) > 2:
                pass
        assert texts(await read_one(log, part)) == ["value", "value"]
    assert [record.offset for record in seen][-2:] == [80, 81]
    assert seen[0].offset == 0


async def test_a_reader_that_retention_passed_is_told(tmp_path: Path) -> None:
    log = insides_of(tmp_path / "log", DELETE)
    log.write(*values("abc"))
    async with open_sqlite(config_of(tmp_path / "log", log.clock)) as handle:
        async with handle.reader({log.part: 0}) as reader:
            assert await reader.read(max_records=1, wait_s=0)
            log.age(2 * HOUR_MS)
            clean_all(log)
            with pytest.raises(OffsetOutOfRange) as caught:
                await reader.read(max_records=1, wait_s=0)
            assert (caught.value.offset, caught.value.oldest) == (1, 3)
            assert reader.position(log.part) == 1
        assert await handle.oldest([log.part]) == {log.part: 3}
    log.session.close()
