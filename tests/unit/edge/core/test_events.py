"""Server-sent events, byte for byte."""

from hypothesis import given
from hypothesis import strategies as st

from edge.core.events import COMMENT, events, remark, retry


def test_only_the_last_event_of_a_write_has_an_id() -> None:
    assert events([b'{"a":1}', b'{"a":2}'], b"1.x") == (
        b'data: {"a":1}\n\nid: 1.x\ndata: {"a":2}\n\n'
    )
    assert events([b"1"]) == b"data: 1\n\n"
    assert events([], b"1.x") == b""


def test_a_comment_is_no_event() -> None:
    assert COMMENT == b":\n\n"
    assert remark("over\nand\r\n out ") == b": over and out\n\n"


@given(st.floats(0, 1, exclude_max=True))
def test_readers_come_back_after_one_to_five_seconds(draw: float) -> None:
    line = retry(draw=draw)
    assert line.endswith(b"\n")
    name, value = line.split(b": ")
    assert name == b"retry"
    assert 1_000 <= int(value) <= 5_000
