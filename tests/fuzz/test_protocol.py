"""The measure itself: what a stream of frames means, and what is due for a message."""

import zlib

import pytest

from tests.fuzz.answers import BAD_FORMAT, UNKNOWN_TYPE, Speaker, fits
from tests.fuzz.play import judged
from tests.fuzz.protocol import Breaks, Closes, Cut, Event, Message, Ping, read
from tests.support.raw_ws import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    Heard,
    deflated,
    frame,
)

_A = frame(TEXT, b"a", mask=b"mask")


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"", []),
        (_A, [Message(b"a", True)]),
        (frame(BINARY, b"\xff"), [Message(b"\xff", False)]),
        (
            frame(TEXT, b"a", fin=False) + frame(PING, b"p") + frame(0, b"b"),
            [Ping(b"p"), Message(b"ab", True)],
        ),
        (_A + _A[:-1], [Message(b"a", True), Cut(len(_A))]),
        (frame(PONG, b"x") + frame(CLOSE, b"\x03\xe8bye") + _A, [Closes(False)]),
        (frame(PONG, b"x") + frame(CLOSE, b"\x03\xe8bye"), [Closes()]),
        (frame(CLOSE, b"\x0f\xa1"), [Closes(code=4001)]),
        (frame(CLOSE, b"\x03"), [Breaks(1002)]),
        (frame(CLOSE, b"\x03\xee"), [Breaks(1002)]),
        (frame(CLOSE, b"\x13\x88"), [Breaks(1002)]),
        (b"\x81\x01a", [Breaks(1002)]),
        (b"\x81\xff" + b"\xff" * 8, [Breaks(1002)]),
        (frame(TEXT, b"", fin=False) + _A, [Breaks(1002)]),
        (frame(CLOSE, b"\x03\xec"), [Breaks(1002)]),
        (frame(CLOSE, b"\x03\xe8\xff"), [Breaks(1007)]),
        (frame(TEXT, b"\xff"), [Breaks(1007)]),
        (frame(0, b"x"), [Breaks(1002)]),
        (frame(TEXT, b"x", fin=False) + _A, [Breaks(1002)]),
        (frame(PING, b"x" * 126), [Breaks(1002)]),
        (b"\x83\x80", [Breaks(1002)]),
        (frame(TEXT, b"x" * 101), [Breaks(1009)]),
        (frame(TEXT, b"x" * 60, fin=False) + frame(0, b"x" * 41), [Breaks(1009)]),
    ],
)
def test_a_stream_means(stream: bytes, events: list[Event]) -> None:
    assert read(stream, limit_bytes=100) == events


_DEFLATED = deflated(b"ab")
_PACKED = frame(TEXT, _DEFLATED, packed=True)


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (_PACKED + _A, [Message(b"ab", True), Message(b"a", True)]),
        (
            frame(TEXT, _DEFLATED[:1], fin=False, packed=True)
            + frame(PING, b"p")
            + frame(0, _DEFLATED[1:]),
            [Ping(b"p"), Message(b"ab", True)],
        ),
        (
            frame(TEXT, deflated(b"ab", mode=zlib.Z_FINISH), packed=True) + _PACKED,
            [Message(b"ab", True), Message(b"ab", True)],
        ),
        (frame(TEXT, b"x", fin=False) + frame(0, b"", packed=True), [Breaks(1002)]),
        (frame(PING, b"p", packed=True), [Breaks(1002)]),
        (frame(TEXT, b"\xff\xff", packed=True), [Breaks(1007)]),
        (frame(TEXT, deflated(b"\xff"), packed=True), [Breaks(1007)]),
        (frame(TEXT, deflated(b"x" * 100), packed=True), [Message(b"x" * 100, True)]),
        (frame(TEXT, deflated(b"x" * 101), packed=True), [Breaks(1009)]),
        (frame(TEXT, deflated(b"x" * 9_999), packed=True), [Breaks(1009)]),
    ],
)
def test_a_stream_that_may_be_compressed_means(
    stream: bytes, events: list[Event]
) -> None:
    assert read(stream, limit_bytes=100, packed=True) == events
    assert read(_PACKED, limit_bytes=100) == [Breaks(1002)]


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        (b"null", {"type": "ERROR", "message": BAD_FORMAT}),
        (b"NaN", {"type": "ERROR", "message": BAD_FORMAT}),
        (b'{"type":"X"}', {"type": "ERROR", "message": f"{UNKNOWN_TYPE}; there are"}),
        (b'{"type":"PING","timestamp":[1]}', {"type": "PONG", "timestamp": [1]}),
        (b'{"type":"PING"}', {"type": "PONG"}),
        (b'{"type":"PING","timestamp":1e999}', {"type": "PONG", "timestamp": "1e999"}),
        (b'{"type":"HELLO"}', {"type": "WELCOME", "features": [], "log": "x"}),
    ],
)
def test_one_answer_is_due(said: bytes, answer: dict[str, object]) -> None:
    (due,) = Speaker("prices").due(said, is_text=True)
    assert fits(answer, due)
    assert not fits({**answer, "type": "OTHER"}, due)


def test_after_hello_errors_have_codes() -> None:
    speaker = Speaker("prices")
    speaker.due(b'{"type":"HELLO","features":["ack","x"]}', is_text=True)
    (due,) = speaker.due(b"7", is_text=False)
    assert not fits({"type": "ERROR", "message": BAD_FORMAT}, due)
    assert fits({"type": "ERROR", "message": BAD_FORMAT, "code": "bad-format"}, due)


_PONG, _GONE = Heard(PONG, b"so far"), Heard(CLOSE, b"\x03\xe8")
_ANSWER = Heard(TEXT, b'{"type":"PONG"}')
_PRICE = Heard(TEXT, b'{"type":"PRICE_UPDATE"}')


@pytest.mark.parametrize(
    ("heard", "wrong"),
    [
        ([_PRICE, _ANSWER, _PRICE, _PONG, _GONE], ""),
        ([_PONG, _GONE], "answer 0 is"),
        ([_ANSWER, _ANSWER, _PONG, _GONE], "answer 1 is"),
        ([_ANSWER, _PONG, _GONE, _ANSWER], "nobody asked"),
        ([_ANSWER, _PONG], "nothing more"),
        ([_ANSWER, _PONG, Heard(CLOSE, b"\x03\xf3")], "answer 2 is"),
        ([Heard(TEXT, b"{"), _ANSWER, _PONG, _GONE], "no message"),
        ([Heard(TEXT, b'{"type":"PONG","seq":2}'), _PONG, _GONE], "numbered"),
    ],
)
def test_what_was_heard_is_judged(heard: list[Heard], wrong: str) -> None:
    said = judged([Message(b'{"type":"PING"}', True)], heard, "prices")
    assert said is None if not wrong else wrong in (said or "")
