"""Cursors: short texts that mean the same to every edge."""

import re

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
from edge.core.table import Table
from schemas import extras
from tests.support.edge_table import CHA, NOW_MS, gone, identity, price

DAY_MS = 86_400_000
numbers = st.integers(0, 2**53 - 1)
cursors = st.builds(
    Cursor,
    st.text("0123456789abcdef", min_size=12, max_size=12),
    numbers,
    st.lists(numbers, min_size=1, max_size=1_024).map(tuple),
)


@given(cursors)
def test_a_cursor_comes_back_as_it_went_out(cursor: Cursor) -> None:
    text = cursor.text()
    assert parse_cursor(text) == cursor
    assert TypeAdapter(extras.Cursor).validate_python(text) == text
    assert re.fullmatch("[0-9a-f.-]+", text)


@given(st.text() | st.from_regex(r"\A1\.[0-9a-f]+\.[0-9a-f]+\.[0-9a-f-]*\Z"))
def test_of_any_text_a_cursor_is_read_exactly_or_not_at_all(text: str) -> None:
    cursor = parse_cursor(text)
    assert cursor is None or cursor.text() == text


def a_table(*offsets: int) -> Table:
    """Return a table of two partitions read up to these offsets."""
    table = Table(tombstones_ms=DAY_MS)
    table.apply(*identity(), Place(0, 0, NOW_MS))
    for part, offset in enumerate(offsets):
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
    assert current(a_table(7, 9)) == Cursor("0" * 12, NOW_MS + 10, (8, 10))
    assert current(a_table(7, 9)).by_partition == {0: 8, 1: 10}


def test_a_partition_without_a_record_makes_a_cursor_of_no_age() -> None:
    cursor = current(a_table(7))
    assert (cursor.time_ms, cursor.positions) == (0, (8, 0))
    assert why(cursor, a_table(7)) is Refusal.TOO_OLD


def test_a_log_without_a_name_has_no_cursors() -> None:
    assert cursor_of(Table()) is None
    assert why(current(a_table(1, 1)), Table()) is Refusal.OTHER_LOG


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


def test_what_was_forgotten_early_counts_too() -> None:
    table = a_table(7, 9)
    cursor = current(table)
    for places in (table.registry_places, table.balance_places):
        assert why(cursor, table) is None
        places.forgotten_ms = cursor.time_ms
        assert why(cursor, table) is Refusal.TOO_OLD
        places.forgotten_ms = -1


@pytest.mark.parametrize(
    ("cursor", "refused"),
    [
        (None, Refusal.UNREADABLE),
        (Cursor("1" * 12, NOW_MS, (1, 1)), Refusal.OTHER_LOG),
        (Cursor("0" * 12, NOW_MS, (1, 1, 1)), Refusal.OTHER_LOG),
        (Cursor("0" * 12, NOW_MS, (8, 11)), Refusal.AHEAD),
        (Cursor("0" * 12, NOW_MS, (8, 10)), None),
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
