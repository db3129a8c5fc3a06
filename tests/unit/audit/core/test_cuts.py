"""Moments as texts: cuts, times and commits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.core.cuts import Commit, Cut, NotACut, cut_of, parse_bound, parse_moment

hexes = st.text("0123456789abcdef", min_size=8, max_size=8)
numbers = st.lists(st.integers(0, 10**12), min_size=1, max_size=20)


@given(hexes, numbers)
def test_a_cut_is_read_as_it_is_written(log_id: str, commits: list[int]) -> None:
    cut = Cut(log_id, tuple(commits))
    assert parse_moment(f"{cut}") == cut


def test_a_cut_names_its_log_by_the_beginning_of_its_id() -> None:
    assert f"{cut_of('0123456789abcdef' * 2, (12, 0, 40))}" == "cut:01234567:12,0,40"


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-24T14:03:00Z",
        "2026-11-24T14:03:00",
        "2026-11-24 15:03+01:00",
        "1795528980000",
    ],
)
def test_a_time_without_a_zone_is_utc(text: str) -> None:
    assert parse_moment(text) == 1_795_528_980_000


@pytest.mark.parametrize(
    "text",
    [
        "999999999999999",
        "9999-12-31T23:59:59-12:00",
        "",
        "noon",
        "cut:0123:1",
        "cut:01234567:",
        "cut:01234567:1,",
        "12",
    ],
)
def test_all_else_is_no_moment(text: str) -> None:
    with pytest.raises(NotACut, match="is no moment of the log"):
        parse_moment(text)


def test_a_bound_may_be_a_commit() -> None:
    assert parse_bound("12") == Commit(12)
    assert parse_bound("cut:01234567:12") == Cut("01234567", (12,))
