"""Answers that are compressed but for their end."""

import gzip

from hypothesis import given
from hypothesis import strategies as st

from edge.core.packed import Packed


@given(st.binary(max_size=5_000), st.lists(st.binary(max_size=300), max_size=3))
def test_whatever_comes_behind_it_is_unpacked_with_it(
    head: bytes, tails: list[bytes]
) -> None:
    packed = Packed(head)
    for tail in tails:
        assert gzip.decompress(packed.gzip(tail)) == head + tail


def test_the_beginning_is_compressed_once() -> None:
    packed = Packed(b"one and the same " * 1_000)
    states = [packed.is_packed]
    first = packed.gzip(b"x")
    assert [*states, packed.is_packed] == [False, True]
    assert len(first) < 200
    made = packed._packed
    packed.pack()
    again = packed.gzip(b"y")
    assert packed._packed is made
    assert gzip.decompress(again).endswith(b"same y")
    end_bytes = len(b"\1\0\0\0\0y") + 8
    assert first[:-end_bytes] == again[:-end_bytes]
