"""Frames that a client can read."""

import pytest

from edge.core.frames import close_frame, ping_frame, pong_frame, text_frame
from tests.support.edge_table import messages


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536])
def test_a_frame_says_how_long_its_message_is(size: int) -> None:
    assert messages(text_frame(b"x" * size) * 2) == [b"x" * size] * 2


def test_a_pong_carries_what_the_ping_did() -> None:
    assert pong_frame(b"") == b"\x8a\x00"
    assert pong_frame(b"are you there") == b"\x8a\x0dare you there"
    assert ping_frame() == b"\x89\x00"


def test_a_close_frame_has_its_code_in_two_bytes_before_the_reason() -> None:
    assert close_frame(1000, "") == b"\x88\x02\x03\xe8"
    assert close_frame(1012, "restarting") == b"\x88\x0c\x03\xf4restarting"
