"""How old a record is: gaps of an hour at most, and nothing that only a clock says."""

import logging
from collections.abc import Iterator
from pathlib import Path
from sqlite3 import Connection

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventlog.port import Cleanup, Entry, TopicSpec
from eventlog.sqlite import ages
from eventlog.sqlite.ages import age_of, load
from eventlog.sqlite.cleaner import clean
from tests.support.sqlite_logs import HOUR_MS, Insides, insides_of

DAY_MS = 24 * HOUR_MS
KEPT_MS = 2 * DAY_MS
LATE_MS = HOUR_MS
RAW = TopicSpec("raw", 1, Cleanup(compact=False, retention_ms=KEPT_MS))
TABLE = TopicSpec("table", 1, Cleanup(compact=True, retention_ms=None))


def anyone(_: Connection) -> None:
    """Let anyone clean."""


def clean_all(log: Insides) -> None:
    for _ in clean(log.session, anyone):
        pass


@pytest.fixture
def raw(tmp_path: Path) -> Iterator[Insides]:
    log = insides_of(tmp_path / "raw", RAW)
    yield log
    log.session.close()


@pytest.fixture
def table(tmp_path: Path) -> Iterator[Insides]:
    log = insides_of(tmp_path / "table", TABLE, dirty_min=1)
    yield log
    log.session.close()


def one(key: bytes = b"key") -> Entry:
    return Entry(key, b"value")


def age(log: Insides, position: int) -> int | None:
    end, part_id = log.column("next"), log.part_id
    assert isinstance(end, int)
    with log.session.reading() as db:
        return age_of(db, part_id, position, end=end)


# ---- clocks that jump, machines that are off


def test_a_clock_that_jumps_deletes_nothing(raw: Insides) -> None:
    raw.write(one())
    raw.age(DAY_MS)
    raw.clock.ms += 10 * DAY_MS
    for _ in range(8):
        raw.write(one())
        clean_all(raw)
        raw.clock.ms += 1_000
    assert raw.column("oldest") == 0
    # An hour more than has passed is all that the jump has done.
    assert age(raw, 0) == DAY_MS + HOUR_MS + 7_000


def test_a_jump_that_is_taken_back_has_aged_nothing(raw: Insides) -> None:
    raw.write(one())
    for _ in range(100):
        raw.clock.ms += 10 * DAY_MS
        raw.write(one())
        raw.clock.ms -= 10 * DAY_MS
        raw.write(one())
        raw.clock.ms += 1_000
        raw.write(one())
        clean_all(raw)
    assert raw.column("oldest") == 0
    assert age(raw, 0) == 100_000


def test_a_machine_that_was_off_for_a_month_deletes_nothing_at_its_start(
    raw: Insides,
) -> None:
    raw.write(one())
    raw.age(KEPT_MS - HOUR_MS)
    raw.clock.ms += 30 * DAY_MS
    clean_all(raw)
    raw.write(one())
    clean_all(raw)
    assert raw.column("oldest") == 0
    assert age(raw, 0) == KEPT_MS


def test_a_tombstone_outlives_a_clock_that_jumps(table: Insides) -> None:
    table.write(one(b"a"), Entry(b"a", None))
    table.clock.ms += 10 * DAY_MS
    table.write(one(b"b"))
    clean_all(table)
    assert table.offsets() == [1, 2]
    table.age(23 * HOUR_MS)
    clean_all(table)
    assert table.offsets()[0] == 2


def test_what_stands_still_does_not_age(raw: Insides) -> None:
    raw.write(one())
    raw.clock.ms += 100 * DAY_MS
    clean_all(raw)
    assert (age(raw, 0), raw.offsets()) == (0, [0])


# ---- the log line


def test_each_expiry_is_one_line_with_topic_shard_and_range(
    raw: Insides, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    raw.write(*[one()] * 600)
    raw.age(KEPT_MS + LATE_MS)
    clean_all(raw)
    assert caplog.records == []
    raw.age(1)
    clean_all(raw)
    clean_all(raw)
    (line,) = caplog.records
    assert (line.levelno, line.message) == (logging.INFO, "records expired")
    fields = ("topic", "shard", "first", "last", "kept_s")
    assert [vars(line)[name] for name in fields] == ["raw", 0, 0, 600, KEPT_MS // 1_000]
    assert raw.column("oldest") == 601


def test_an_expiry_that_is_cut_short_tells_what_it_has_dropped(
    raw: Insides, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    raw.write(*[one()] * 600)
    raw.age(KEPT_MS + LATE_MS + 1)
    cleaning = clean(raw.session, anyone)
    next(cleaning)
    cleaning.close()
    (line,) = caplog.records
    assert (vars(line)["first"], vars(line)["last"]) == (0, 249)


# ---- a log that another program made or used


def test_a_log_without_ages_is_measured_by_whoever_cleans_it(raw: Insides) -> None:
    raw.write(one())
    raw.clock.ms += 30 * DAY_MS
    raw.write(one())
    raw.age(DAY_MS)
    with raw.session.writing() as db:
        db.execute("DROP TABLE age_clocks")
        db.execute("DROP TABLE age_jumps")
    assert age(raw, 0) == DAY_MS + HOUR_MS
    clean_all(raw)
    assert raw.column("oldest") == 0
    assert age(raw, 0) == DAY_MS + HOUR_MS
    part_id = raw.part_id
    with raw.session.reading() as db:
        measured = load(db, part_id).measured
    assert measured == raw.column("next")


def test_records_that_another_program_deleted_unmeasured_are_no_trouble(
    raw: Insides,
) -> None:
    raw.write(one(), one())
    with raw.session.writing() as db:
        db.execute("DELETE FROM records")
        db.execute("UPDATE partitions SET oldest = next")
    clean_all(raw)
    clean_all(raw)
    assert age(raw, 0) is None
    raw.write(one())
    raw.age(DAY_MS)
    clean_all(raw)
    assert age(raw, 0) == DAY_MS


# ---- against what is said of it


class Model:
    """All records that were ever written, and what retention does by the rule."""

    def __init__(self) -> None:
        self.times: list[int] = []
        self.oldest = 0

    def age(self, offset: int) -> int:
        """Return the sum of the gaps from a record to the last one."""
        after = zip(self.times[offset:], self.times[offset + 1 :], strict=False)
        return sum(max(-HOUR_MS, min(b - a, HOUR_MS)) for a, b in after)

    def expire(self) -> None:
        if self.times and self.age(self.oldest) > KEPT_MS + LATE_MS:
            while self.age(self.oldest) > KEPT_MS:
                self.oldest += 1


# How far the clock goes before the next record.
GAPS = st.one_of(
    st.integers(0, HOUR_MS),
    st.sampled_from([HOUR_MS, HOUR_MS + 1, -HOUR_MS, -HOUR_MS - 1]),
    st.integers(-30 * DAY_MS, 30 * DAY_MS),
)


@given(
    st.lists(st.tuples(GAPS, st.integers(1, 4)), max_size=100),
    st.sets(st.integers(0, 99), max_size=10),
)
def test_ages_are_those_of_the_rule_however_it_is_measured(
    tmp_path_factory: pytest.TempPathFactory,
    steps: list[tuple[int, int]],
    looks: set[int],
) -> None:
    log = insides_of(tmp_path_factory.mktemp("log") / "log", RAW)
    log.clock.ms = 10**13
    model = Model()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ages, "_LOOK_RECORDS", 3)
        for place, (gap_ms, count) in enumerate(steps):
            log.clock.ms += gap_ms
            log.write(*[one()] * count)
            model.times += [log.clock.ms] * count
            if place in looks:
                clean_all(log)
                model.expire()
            assert log.column("oldest") == model.oldest
            middle = (model.oldest + len(model.times)) // 2
            assert age(log, middle) == model.age(middle)
    assert age(log, model.oldest) == (model.age(model.oldest) if model.times else None)
    log.session.close()


@given(st.lists(st.tuples(GAPS, st.sampled_from(["a", "b", "A", "B"])), max_size=20))
def test_a_tombstone_goes_by_its_age_though_what_stood_beside_it_is_gone(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, str]]
) -> None:
    kept_ms = 3 * HOUR_MS
    cleanup = Cleanup(compact=True, retention_ms=None, tombstones_ms=kept_ms)
    spec = TopicSpec("table", 1, cleanup)
    log = insides_of(tmp_path_factory.mktemp("log") / "log", spec, dirty_min=1)
    log.clock.ms = 10**13
    model = Model()
    newest: dict[str, int] = {}
    for gap_ms, key in steps:
        log.clock.ms += gap_ms
        name = key.lower()
        log.write(Entry(name.encode(), None if key.isupper() else b"value"))
        newest[name] = len(model.times)
        model.times.append(log.clock.ms)
        clean_all(log)
        for other, offset in list(newest.items()):
            is_tombstone = steps[offset][1].isupper()
            if is_tombstone and model.age(offset) >= kept_ms:
                del newest[other]
        assert log.offsets() == sorted(newest.values())
    log.session.close()
