"""Frames a client can read, and messages within their limit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.frames import packed, text_frame
from tests.support.edge_table import messages


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536])
def test_a_frame_says_how_long_its_message_is(size: int) -> None:
    assert messages(text_frame(b"x" * size) * 2) == [b"x" * size] * 2


def test_without_items_there_is_one_empty_share() -> None:
    assert list(packed([], around_bytes=10)) == [[]]


@given(st.lists(st.binary(max_size=30)), st.integers(0, 20), st.integers(21, 100))
def test_shares_keep_the_order_and_the_limit(
    items: list[bytes], around: int, limit: int
) -> None:
    shares = list(packed(items, around_bytes=around, limit_bytes=limit))
    assert [item for share in shares for item in share] == items
    for share in shares:
        fits = around + len(b",".join(share)) <= limit
        assert fits or len(share) == 1


@given(st.lists(st.binary(max_size=30), min_size=1))
def test_no_share_but_a_lone_one_is_empty(items: list[bytes]) -> None:
    assert all(packed(items, around_bytes=5, limit_bytes=20))
