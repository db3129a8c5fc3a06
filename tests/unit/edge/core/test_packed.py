"""Answers that are compressed but for their end."""

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.packed import Packed


@given(st.binary(max_size=5_000), st.lists(st.binary(max_size=300), max_size=3))
def test_whatever_comes_behind_it_is_unpacked_with_it(
    head: bytes, tails: list[bytes]
) -> None:
    packed = Packed(head)
    for tail in tails:
        assert gzip.decompress(b"".join(packed.gzip_pieces(tail))) == head + tail


@pytest.mark.parametrize("size", [0, 65_535, 65_536, 131_070, 200_000])
def test_an_end_may_be_of_any_length(size: int) -> None:
    tail = b"x" * size
    packed = b"".join(Packed(b"head").gzip_pieces(tail))
    assert gzip.decompress(packed) == b"head" + tail


def test_the_beginning_is_compressed_once() -> None:
    packed = Packed(b"one and the same " * 1_000)
    states = [packed.is_packed]
    first = b"".join(packed.gzip_pieces(b"x"))
    assert [*states, packed.is_packed] == [False, True]
    assert len(first) < 200
    made = packed._packed
    packed.pack()
    again = b"".join(packed.gzip_pieces(b"y"))
    assert packed._packed is made
    assert gzip.decompress(again).endswith(b"same y")
    end_bytes = len(b"\1\0\0\0\0y") + 8
    assert first[:-end_bytes] == again[:-end_bytes]
