"""Offsets as bytes and back."""

from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.core.postings import packed, unpacked


@given(st.lists(st.integers(1, 2**40)), st.integers(-1, 2**40))
def test_offsets_come_back_as_they_were(steps: list[int], after: int) -> None:
    offsets = list(accumulate(steps, initial=after))[1:]
    assert unpacked(packed(offsets, after=after), after=after) == offsets


@given(
    st.lists(st.integers(1, 300), min_size=1), st.lists(st.integers(1, 300), min_size=1)
)
def test_bytes_that_follow_one_another_are_one_list(
    first: list[int], second: list[int]
) -> None:
    offsets = list(accumulate(first + second))
    head, tail = offsets[: len(first)], offsets[len(first) :]
    joined = packed(head, after=0) + packed(tail, after=head[-1])
    assert unpacked(joined, after=0) == offsets


def test_near_offsets_take_a_byte_each() -> None:
    assert len(packed(range(1, 100), after=0)) == 99


@pytest.mark.parametrize("offsets", [[5], [6, 6], [8, 7]])
def test_offsets_must_grow(offsets: list[int]) -> None:
    with pytest.raises(ValueError, match="does not come after"):
        packed(offsets, after=5)
