"""Cursors: short texts that mean the same to every edge."""

import re
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from edge.core.cursor import (
    Cursor,
    Refusal,
    cursor_of,
    has_reached,
    parse_cursor,
    refusal,
)
from edge.core.places import Place
from edge.core.table import OldestAfter, Table
from schemas import extras
from schemas.log import Term
from tests.support.edge_table import ANNE, CHA, NOW_MS, gone, identity, price, terms

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
# As edges ask by default.
ACCEPTED_MS = 23 * HOUR_MS
A, B, C = (Term(letter * 12, 0, NOW_MS) for letter in "abc")

numbers = st.integers(0, 2**53 - 1)
digits = "0123456789abcdef"
cursors = st.builds(
    Cursor,
    st.text(digits, min_size=12, max_size=12),
    numbers,
    st.lists(numbers, min_size=1, max_size=1_024).map(tuple),
    st.none() | st.text(digits, min_size=16, max_size=16),
)


@given(cursors)
def test_a_cursor_comes_back_as_it_went_out(cursor: Cursor) -> None:
    text = cursor.text()
    assert parse_cursor(text) == cursor
    assert TypeAdapter(extras.Cursor).validate_python(text) == text
    assert re.fullmatch("[0-9a-f.-]+", text)


@given(
    st.text()
    | st.from_regex(r"\A2\.[0-9a-f]+\.[0-9a-f]+\.[0-9a-f-]*\.[0-9a-f]*\Z")
    | st.from_regex(
        r"\A2\.[0-9a-f]{12}\.[1-9a-f]\.[1-9a-f](-[1-9a-f])*\.[0-9a-f]{16}\Z"
    )
)
def test_of_any_text_a_cursor_is_read_exactly_or_not_at_all(text: str) -> None:
    cursor = parse_cursor(text)
    assert cursor is None or cursor.text() == text


def test_a_cursor_of_version_1_is_read_and_its_terms_are_not_known() -> None:
    read = parse_cursor("1.3f2a9c41d07e.197ab1c0e4d.50-3a")
    assert read == Cursor("3f2a9c41d07e", 0x197AB1C0E4D, (0x50, 0x3A), None)


@pytest.mark.parametrize(
    "text",
    [
        "1.3f2a9c41d07e.1.50-3a.0",
        "2.3f2a9c41d07e.1.50-3a",
        "2.3f2a9c41d07e.1.50-3a.00",
        "2.3f2a9c41d07e.1.50-3a.9d0c5be1f7a2836",
        "2.3f2a9c41d07e.1.50-3a.9D0C5BE1F7A28364",
        "3.3f2a9c41d07e.1.50-3a.0",
        "2.3f2a9c41d07e.1.50-3a.0\n",
    ],
)
def test_what_is_almost_a_cursor_is_none(text: str) -> None:
    assert parse_cursor(text) is None


def a_table(*offsets: int, part_terms: tuple[Term, ...] = ()) -> Table:
    """Return a table of two partitions read up to these offsets."""
    table = Table(tombstones_ms=DAY_MS)
    table.apply(*identity(), Place(0, 0, NOW_MS))
    for part, offset in enumerate(offsets):
        table.apply(*terms(part, *part_terms), Place(part, 1, NOW_MS))
        table.apply(*price(CHA, "1"), Place(part, offset, NOW_MS + 10 + part))
    return table


def why(cursor: Cursor | None, table: Table, *, now_ms: int = NOW_MS) -> Refusal | None:
    return refusal(cursor, table, now_ms=now_ms, tombstones_ms=DAY_MS)


def current(table: Table) -> Cursor:
    cursor = cursor_of(table)
    assert cursor is not None
    return cursor


def test_a_cursor_is_past_all_that_was_read_and_as_old_as_the_slowest_partition() -> (
    None
):
    found = current(a_table(7, 9))
    assert (found.log, found.time_ms) == ("0" * 12, NOW_MS + 10)
    assert found.by_partition == {0: 8, 1: 10}
    assert found.terms is not None


def test_a_partition_without_a_record_makes_a_cursor_of_no_age() -> None:
    cursor = current(a_table(7))
    assert (cursor.time_ms, cursor.positions) == (0, (8, 0))
    assert why(cursor, a_table(7)) is Refusal.TOO_OLD


def test_a_log_without_a_name_has_no_cursors() -> None:
    assert cursor_of(Table()) is None
    assert why(current(a_table(7, 9)), Table()) is Refusal.OTHER_LOG


def test_a_cursor_is_good_while_nothing_can_have_been_forgotten() -> None:
    table = a_table(7, 9)
    cursor = current(table)
    assert why(cursor, table) is None
    oldest_ms = cursor.time_ms + DAY_MS
    assert why(cursor, table, now_ms=oldest_ms) is None
    assert why(cursor, table, now_ms=oldest_ms + 1) is Refusal.TOO_OLD
    # By the log's clock as well.
    table.apply(*price(CHA, "1"), Place(1, 11, oldest_ms + 1))
    assert why(cursor, table) is Refusal.TOO_OLD


@pytest.mark.parametrize("kind", ["registry", "balances"])
def test_what_was_forgotten_early_counts_too(kind: str) -> None:
    table = a_table(7, 9)
    before = current(table)
    table.apply(*gone(price(CHA, "1")), Place(0, 8, NOW_MS + 20))
    after = current(table)
    places = table.registry_places
    if kind == "balances":
        places = table.registry_places = type(places)()
        table.balance_places.withdraw((ANNE, CHA), Place(0, 8, NOW_MS + 20))
    assert (why(before, table), why(after, table)) == (None, None)
    for each in (table.registry_places, table.balance_places):
        each.forget_gone(before_ms=NOW_MS + 21)
    assert (why(before, table), why(after, table)) == (Refusal.TOO_OLD, None)


GOOD = current(a_table(7, 9)).terms


@pytest.mark.parametrize(
    ("cursor", "refused"),
    [
        (None, Refusal.UNREADABLE),
        (Cursor("1" * 12, NOW_MS, (8, 10), GOOD), Refusal.OTHER_LOG),
        (Cursor("0" * 12, NOW_MS, (8, 10, 1), GOOD), Refusal.OTHER_LOG),
        (Cursor("0" * 12, NOW_MS, (8, 11), GOOD), Refusal.AHEAD),
        (Cursor("0" * 12, NOW_MS, (8, 10), None), Refusal.OTHER_TIMELINE),
        (Cursor("0" * 12, NOW_MS, (8, 10), "0" * 16), Refusal.OTHER_TIMELINE),
        (Cursor("0" * 12, NOW_MS, (8, 10), GOOD), None),
    ],
)
def test_why_a_cursor_is_refused(
    cursor: Cursor | None, refused: Refusal | None
) -> None:
    assert why(cursor, a_table(7, 9)) is refused


def test_a_table_reaches_a_cursor_when_every_partition_does() -> None:
    cursor = current(a_table(7, 9))
    assert has_reached(a_table(8, 9), cursor)
    assert not has_reached(a_table(9, 8), cursor)


def test_a_tombstone_has_the_log_time_though_the_logs_clock_steps_back() -> None:
    table = a_table(7, 9)
    table.apply(*gone(price(CHA, "1")), Place(0, 8, NOW_MS - DAY_MS))
    table.apply(*price(CHA, "1"), Place(1, 12, NOW_MS + DAY_MS))
    assert len(table.registry_places) == 1
    table.apply(*price(CHA, "1"), Place(1, 13, NOW_MS + DAY_MS + 11))
    assert len(table.registry_places) == 0


# ---- terms


class Read(NamedTuple):
    """The terms of one shard, and how far it was read."""

    terms: tuple[Term, ...]
    end: int


def shard(*began: tuple[Term, int], end: int) -> Read:
    return Read(tuple(term._replace(start=start) for term, start in began), end)


def read(*shards: Read) -> Table:
    table = Table(tombstones_ms=DAY_MS)
    table.apply(*identity(partitions=len(shards)), Place(0, 0, NOW_MS))
    for part, found in enumerate(shards):
        if found.terms:
            at = found.terms[-1].start + 1
            table.apply(*terms(part, *found.terms), Place(part, at, NOW_MS))
        table.apply(*price(CHA, "1"), Place(part, found.end - 1, NOW_MS + 1))
    return table


LOST = shard((A, 0), end=80)


@pytest.mark.parametrize(
    ("log", "refused"),
    [
        pytest.param(shard((A, 0), end=90), None, id="the same term"),
        pytest.param(shard((A, 0), (B, 80), end=90), None, id="it ended here"),
        pytest.param(shard((A, 0), (B, 85), (C, 88), end=90), None, id="or later"),
        pytest.param(shard((C, 0), (A, 9), end=90), None, id="an earlier one"),
        pytest.param(
            shard((A, 0), (B, 79), end=90), Refusal.OTHER_TIMELINE, id="it ended before"
        ),
        pytest.param(
            shard((A, 0), (B, 50), (C, 80), end=90),
            Refusal.OTHER_TIMELINE,
            id="another term came to stand there",
        ),
        pytest.param(
            shard((B, 0), end=90), Refusal.OTHER_TIMELINE, id="a term not known here"
        ),
        pytest.param(
            shard((A, 80), end=90),
            Refusal.OTHER_TIMELINE,
            id="before all that are known",
        ),
        pytest.param(shard(end=90), Refusal.OTHER_TIMELINE, id="no terms known"),
        pytest.param(shard((A, 0), end=60), Refusal.AHEAD, id="not read so far yet"),
    ],
)
def test_a_position_holds_within_its_term_only(
    log: Read, refused: Refusal | None
) -> None:
    assert why(current(read(LOST)), read(log)) is refused


def test_the_terms_of_every_partition_count() -> None:
    first, second = shard((A, 0), end=80), shard((B, 0), end=80)
    cursor = current(read(first, second))
    assert why(cursor, read(first, second)) is None
    for other in ((first, shard((C, 0), end=90)), (shard((C, 0), end=90), second)):
        assert why(cursor, read(*other)) is Refusal.OTHER_TIMELINE
    # Each in its own partition.
    assert why(cursor, read(second, first)) is Refusal.OTHER_TIMELINE


def test_a_cursor_from_before_all_terms_are_known_is_good_for_nothing() -> None:
    table = read(shard((A, 0), end=80), shard(end=80))
    cursor = current(table)
    assert cursor.terms is None
    assert parse_cursor(cursor.text()) == cursor
    assert why(cursor, table) is Refusal.OTHER_TIMELINE


def test_the_terms_count_in_whatever_order_the_log_is_read() -> None:
    table = Table(tombstones_ms=DAY_MS)
    table.apply(*terms(0, A), Place(0, 0, NOW_MS))
    assert table.terms_digest is None
    table.apply(*identity(partitions=1), Place(0, 1, NOW_MS))
    assert current(table).terms == current(read(shard((A, 0), end=2))).terms


# ---- a clock that was ahead


def timed(*records: tuple[int, int], began: tuple[tuple[int, int], ...] = ()) -> Table:
    """Return a table of one partition with records at offsets and times.

    ``began`` are starts and times of the terms after the first.
    """
    table = Table(tombstones_ms=ACCEPTED_MS)
    table.apply(*identity(partitions=1), Place(0, 0, NOW_MS))
    of = [A, *(Term(f"{at:012x}", at, ms) for at, ms in began)]
    table.apply(*terms(0, *of), Place(0, of[-1].start + 1, NOW_MS))
    for offset, time_ms in records:
        table.apply(*price(CHA, "1"), Place(0, offset, time_ms))
    return table


def judged(cursor: Cursor, table: Table, *, now_ms: int) -> Refusal | None:
    return refusal(cursor, table, now_ms=now_ms, tombstones_ms=ACCEPTED_MS)


AHEAD_MS = NOW_MS + 10 * DAY_MS


def test_a_cursor_taken_after_the_clock_was_ahead_is_as_old_as_it_is() -> None:
    cursor = current(timed((2, AHEAD_MS), (3, NOW_MS + 5_000)))
    assert cursor.time_ms == NOW_MS + 5_000
    soon_ms, later_ms = NOW_MS + HOUR_MS, NOW_MS + 2 * DAY_MS
    log = timed((2, AHEAD_MS), (3, NOW_MS + 5_000), (9, soon_ms))
    assert judged(cursor, log, now_ms=soon_ms) is None
    log = timed((2, AHEAD_MS), (9, later_ms))
    assert judged(cursor, log, now_ms=later_ms) is Refusal.TOO_OLD


def test_a_cursor_taken_while_the_clock_was_ahead_has_an_age_nobody_knows() -> None:
    cursor = current(timed((2, AHEAD_MS)))
    # While the clock is ahead it is as good as any.
    log = timed((2, AHEAD_MS), (3, AHEAD_MS + HOUR_MS))
    assert judged(cursor, log, now_ms=NOW_MS) is None
    log = timed((2, AHEAD_MS), (3, NOW_MS + HOUR_MS))
    assert judged(cursor, log, now_ms=NOW_MS + HOUR_MS) is Refusal.TOO_OLD
    # Nor is it young again when the day comes for which it was taken.
    came_ms = AHEAD_MS + HOUR_MS
    log = timed((2, AHEAD_MS), (9, came_ms), began=((3, NOW_MS + HOUR_MS),))
    assert judged(cursor, log, now_ms=came_ms) is Refusal.TOO_OLD


def test_a_record_after_a_cursor_that_is_older_than_it_shows_that_the_clock_was_ahead() -> (
    None
):
    cursor = current(timed((2, AHEAD_MS)))
    came_ms = AHEAD_MS + HOUR_MS
    # Nobody took over the shard since: no term tells it.
    log = timed((2, AHEAD_MS), (3, came_ms - 2 * HOUR_MS), (9, came_ms))
    assert judged(cursor, log, now_ms=came_ms) is Refusal.TOO_OLD
    # It was read so long ago that its time is not held any more.
    log = timed((2, AHEAD_MS), (3, NOW_MS + HOUR_MS), (9, came_ms))
    assert judged(cursor, log, now_ms=came_ms) is Refusal.TOO_OLD
    # What stands before the cursor says nothing about it.
    log = timed((1, NOW_MS), (2, AHEAD_MS), (9, came_ms))
    assert judged(cursor, log, now_ms=came_ms) is None


def test_many_records_in_a_row_leave_a_cursor_as_good_as_it_is() -> None:
    minute_ms = 60_000
    times = [(2 + n, NOW_MS + n * minute_ms // 3) for n in range(600)]
    cursor = current(timed(*times[:300]))
    log = timed(*times)
    now_ms = times[-1][1]
    assert judged(cursor, log, now_ms=now_ms) is None
    assert judged(cursor, log, now_ms=now_ms + 2 * DAY_MS) is Refusal.TOO_OLD


@given(
    st.lists(st.integers(0, 4_000_000), max_size=60), st.integers(0, 70), st.booleans()
)
def test_the_oldest_time_after_a_position_is_right_to_the_minute(
    steps: list[int], position: int, is_short: bool
) -> None:
    kept_ms = 1_000_000 if is_short else 10_000_000
    noted = OldestAfter(kept_ms=kept_ms)
    for offset, time_ms in enumerate(steps):
        noted.add(offset, time_ms)
    due_ms = min(steps[position:], default=None)
    found_ms = noted.at(position)
    if due_ms is None:
        assert found_ms is None
    elif due_ms < max(steps) - kept_ms + 60_000:
        # What is older than is kept may be known to be that alone.
        assert found_ms is not None
        assert found_ms <= due_ms
    else:
        assert found_ms is not None
        assert due_ms - 60_000 < found_ms <= due_ms


def test_clocks_that_differ_a_little_make_no_cursor_too_old() -> None:
    minute_ms = 60_000
    cursor = current(timed((2, NOW_MS + minute_ms)))
    log = timed((2, NOW_MS + minute_ms), (9, NOW_MS), began=((3, NOW_MS),))
    assert judged(cursor, log, now_ms=NOW_MS) is None
