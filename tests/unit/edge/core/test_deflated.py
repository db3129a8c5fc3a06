"""Payloads that a client inflates, each by itself."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.deflated import (
    MIN_BYTES,
    WINDOW_BITS,
    deflated,
    inflated,
    is_offered,
)
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


@given(st.binary(max_size=5_000))
def test_a_payload_inflates_within_the_limit_or_not_at_all(message: bytes) -> None:
    size = len(message)
    assert inflated(deflated(message), limit_bytes=0) == message
    assert inflated(deflated(message), limit_bytes=max(size, 1)) == message
    if size > 1:
        assert inflated(deflated(message), limit_bytes=size - 1) is None


@pytest.mark.parametrize(
    "offers",
    [
        "permessage-deflate",
        "permessage-deflate; client_max_window_bits",
        "permessage-deflate;client_max_window_bits=8;server_max_window_bits=12",
        'permessage-deflate; server_max_window_bits="15"',
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
        "x-webkit-deflate-frame, permessage-deflate; server_max_window_bits=15",
        "permessage-deflate; server_max_window_bits=9, permessage-deflate",
    ],
)
def test_an_offer_with_room_for_our_window_is_taken(offers: str) -> None:
    assert is_offered(offers)


@pytest.mark.parametrize(
    "offers",
    [
        "",
        "x-webkit-deflate-frame",
        "permessage-deflate; server_max_window_bits=11",
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits=012",
        "permessage-deflate; client_max_window_bits=7",
        "permessage-deflate; client_max_window_bits=x",
        "permessage-deflate; server_no_context_takeover=1",
        "permessage-deflate; client_max_window_bits; client_max_window_bits",
        "permessage-deflate; something",
    ],
)
def test_an_offer_that_is_none_of_ours_is_not_taken(offers: str) -> None:
    assert not is_offered(offers)
