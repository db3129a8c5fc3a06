"""Frames that a client can read."""

import pytest

from edge.core.frames import text_frame
from tests.support.edge_table import messages


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536])
def test_a_frame_says_how_long_its_message_is(size: int) -> None:
    assert messages(text_frame(b"x" * size) * 2) == [b"x" * size] * 2
