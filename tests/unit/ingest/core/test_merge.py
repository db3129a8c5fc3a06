"""Files of history as one stream, in the order of their moments."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from ingest.core.history import BadRow, Past
from ingest.core.merge import Line, merged


def line(file: int, number: int, moment: int, sequence: int = 0) -> Line:
    return Line(file, number, Past("prices.raw", b"k", b"v", moment, sequence))


def at(line: Line) -> tuple[int, int]:
    assert isinstance(line.row, Past)
    return line.row.observed_at, line.row.sequence


def test_ties_go_by_file_and_then_by_line() -> None:
    one = [line(0, 1, 5), line(0, 2, 5)]
    two = [line(1, 1, 5, sequence=1), line(1, 2, 5, sequence=1)]
    three = [line(2, 1, 5)]
    order = [(found.file, found.number) for found in merged([one, two, three])]
    assert order == [(0, 1), (0, 2), (2, 1), (1, 1), (1, 2)]


def test_a_line_within_the_window_is_put_where_it_belongs() -> None:
    found = list(merged([[line(0, 1, 9), line(0, 2, 7), line(0, 3, 8)]], window=2))
    assert [at(one)[0] for one in found] == [7, 8, 9]


def test_a_line_out_of_order_by_more_is_bad() -> None:
    found = list(merged([[line(0, 1, 8), line(0, 2, 9), line(0, 3, 7)]], window=1))
    assert [type(one.row) for one in found] == [Past, BadRow, Past]


def test_bad_lines_pass_through_near_where_they_stand() -> None:
    bad = Line(0, 2, BadRow("why"))
    found = list(merged([[line(0, 1, 5), bad, line(0, 3, 6)]], window=1))
    assert bad in found
    assert len(found) == 3


files = st.lists(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 2)), max_size=20), max_size=4
)


@given(files)
def test_nothing_is_lost_and_all_is_in_order(
    moments: list[list[tuple[int, int]]],
) -> None:
    lines = [
        [line(file, number, *moment) for number, moment in enumerate(rows)]
        for file, rows in enumerate(moments)
    ]
    found = list(merged(lines))
    assert all(
        (at(one), one.file, one.number) < (at(two), two.file, two.number)
        for one, two in pairwise(found)
    )
    assert len(found) == sum(len(rows) for rows in moments)
