"""Payloads that a client inflates, each by itself."""

import zlib

from hypothesis import given
from hypothesis import strategies as st

from edge.core.deflated import MIN_BYTES, WINDOW_BITS, deflated
from edge.core.frames import packed_frame, text_frame


@given(st.binary(min_size=1, max_size=5_000))
def test_it_inflates_to_the_message(message: bytes) -> None:
    reading = zlib.decompressobj(-WINDOW_BITS)
    assert reading.decompress(deflated(message) + b"\x00\x00\xff\xff") == message


def test_only_long_messages_are_compressed() -> None:
    short, long = b"x" * (MIN_BYTES - 1), b"x" * MIN_BYTES
    assert packed_frame(short) == text_frame(short)
    assert packed_frame(long)[0] == 0xC1
    assert len(packed_frame(long)) < 100
