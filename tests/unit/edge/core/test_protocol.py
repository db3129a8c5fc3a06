"""The server's side of a WebSocket: what bytes of a client mean, and what breaks it."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.protocol import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    SHORT_FRAGMENT_BYTES,
    TEXT,
    Broken,
    Close,
    Event,
    Fragment,
    Message,
    Ping,
    Pong,
    Receiver,
    accept_key,
)
from tests.fuzz import protocol as oracle
from tests.fuzz import streams
from tests.support.raw_ws import deflated, frame

LIMIT = 65_536
HELLO = frame(TEXT, b"hello", mask=b"mask")
LONG_PART = b"x" * SHORT_FRAGMENT_BYTES


def received(
    stream: bytes, *, limit_bytes: int = LIMIT, deflate: bool = False, at_once: int = 0
) -> list[Event]:
    """Return all events of a stream that comes in pieces of ``at_once`` bytes."""
    receiver = Receiver(limit_bytes=limit_bytes, deflate=deflate)
    size = at_once or len(stream) or 1
    found: list[Event] = []
    for start in range(0, len(stream), size):
        receiver.feed(stream[start : start + size])
        while (event := receiver.next()) is not None:
            found.append(event)
    return found


def close(code: int, reason: bytes = b"") -> bytes:
    return frame(CLOSE, code.to_bytes(2) + reason)


SOUND: dict[str, tuple[bytes, list[Event]]] = {
    "a text": (HELLO, [Message("hello")]),
    "a text of 126 bytes": (frame(TEXT, b"x" * 126), [Message("x" * 126)]),
    "a text of 65,536 bytes": (frame(TEXT, b"x" * LIMIT), [Message("x" * LIMIT)]),
    "a text of 65,535 bytes": (frame(TEXT, b"x" * 65_535), [Message("x" * 65_535)]),
    "a binary message": (frame(BINARY, b"\xff"), [Message(b"\xff")]),
    "an empty text": (frame(TEXT, b""), [Message("")]),
    "ping and pong": (
        frame(PING, b"p" * 125) + frame(PONG, b""),
        [Ping(b"p" * 125), Pong()],
    ),
    "a message in parts, a ping between": (
        frame(TEXT, LONG_PART, fin=False)
        + frame(PING, b"p")
        + frame(0, LONG_PART, fin=False)
        + frame(0, b"end"),
        [Ping(b"p"), Message("x" * 2 * SHORT_FRAGMENT_BYTES + "end")],
    ),
    "a character cut in two": (
        frame(TEXT, b"\xc3", fin=False) + frame(0, b"\xa9"),
        [Fragment(), Message("é")],
    ),
    "parts that hold next to nothing": (
        frame(TEXT, b"", fin=False) + frame(0, b"x", fin=False) + frame(0, b""),
        [Fragment(), Fragment(), Message("x")],
    ),
    "a close without a code": (frame(CLOSE, b"") + HELLO, [Close(1000)]),
    "a close with a reason": (close(1000, "bye é".encode()), [Close(1000)]),
    "a close of an application": (close(4001), [Close(4001)]),
}


@pytest.mark.parametrize(("stream", "events"), SOUND.values(), ids=SOUND)
@pytest.mark.parametrize("at_once", [0, 1, 7], ids=["whole", "bytes", "pieces"])
def test_what_is_sound_is_heard(
    stream: bytes, events: list[Event], at_once: int
) -> None:
    assert received(stream, at_once=at_once) == events


BROKEN: dict[str, tuple[bytes, int]] = {
    "no mask": (b"\x81\x05hello", 1002),
    "no mask on a close": (b"\x88\x02\x03\xe8", 1002),
    "first reserved bit": (b"\xc1\x80", 1002),
    "second reserved bit": (b"\xa1\x80", 1002),
    "third reserved bit": (b"\x91\x80", 1002),
    **{
        f"opcode {opcode}": (bytes((0x80 | opcode, 0x80)), 1002)
        for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)
    },
    "a ping in parts": (b"\x09\x80", 1002),
    "a close in parts": (b"\x08\x80", 1002),
    "a ping of 126 bytes": (b"\x89\xfe", 1002),
    "a close of 126 bytes": (b"\x88\xff", 1002),
    "a continuation of nothing": (frame(0, b"x"), 1002),
    "an empty continuation of nothing": (b"\x00\x80", 1002),
    "a message within a message": (frame(TEXT, b"", fin=False) + HELLO, 1002),
    "a length of 64 bits": (b"\x81\xff" + b"\x80" + b"\0" * 7, 1002),
    "a length of 1 in two bytes": (b"\x81\xfe" + (1).to_bytes(2), 1002),
    "a length of 125 in two bytes": (b"\x82\xfe" + (125).to_bytes(2), 1002),
    "a length of 126 in eight bytes": (b"\x81\xff" + (126).to_bytes(8), 1002),
    "a length of 65,535 in eight bytes": (b"\x81\xff" + (65_535).to_bytes(8), 1002),
    "a continuation's length in two bytes": (
        frame(TEXT, b"x", fin=False) + b"\x80\xfe" + (1).to_bytes(2),
        1002,
    ),
    "a message too long": (b"\x81\xff" + (LIMIT + 1).to_bytes(8), 1009),
    "a binary message too long": (b"\x82\xff" + (LIMIT + 1).to_bytes(8), 1009),
    "parts that are too long together": (
        frame(TEXT, b"x" * LIMIT, fin=False) + b"\x80\x81",
        1009,
    ),
    "text that is not UTF-8": (frame(TEXT, b"\xc3\x28"), 1007),
    "parts that are not UTF-8": (
        frame(TEXT, b"\xc3", fin=False) + frame(0, b"\x28"),
        1007,
    ),
    "a surrogate": (frame(TEXT, b"\xed\xa0\x80"), 1007),
    "half a close code": (frame(CLOSE, b"\x03"), 1002),
    **{
        f"close {code}": (close(code), 1002)
        for code in (
            *(0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999),
            *(5000, 65_535),
        )
    },
    "a reason that is not UTF-8": (close(1000, b"\xff"), 1007),
}


@pytest.mark.parametrize(("stream", "code"), BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("at_once", [0, 1], ids=["whole", "bytes"])
def test_what_must_not_be_sent_breaks_the_connection(
    stream: bytes, code: int, at_once: int
) -> None:
    events = received(HELLO + stream + HELLO, at_once=at_once)
    assert events[0] == Message("hello")
    assert isinstance(events[-1], Broken)
    assert events[-1].code == code
    assert not any(isinstance(event, Message) for event in events[1:])


@pytest.mark.parametrize(
    "code", [*range(1000, 1004), *range(1007, 1015), 3000, 3999, 4000, 4999]
)
def test_a_close_code_that_may_be_sent_comes_back(code: int) -> None:
    assert received(close(code)) == [Close(code)]


@pytest.mark.parametrize(
    ("stream", "code"),
    [
        (frame(PING, b"p", packed=True), 1002),
        (frame(TEXT, b"x", fin=False) + frame(0, b"x", packed=True), 1002),
        (frame(TEXT, b"\xff\xff", packed=True), 1007),
        (frame(TEXT, deflated(b"\xff"), packed=True), 1007),
        (frame(TEXT, deflated(b"x" * (LIMIT + 1)), packed=True), 1009),
        (frame(TEXT, b"\x03\x00" * 10_000, packed=True), 1007),
    ],
    ids=["control", "continuation", "rubbish", "not UTF-8", "bomb", "endings"],
)
def test_what_is_compressed_wrongly_breaks_the_connection(
    stream: bytes, code: int
) -> None:
    *_, last = received(stream, deflate=True)
    assert isinstance(last, Broken)
    assert last.code == code


@pytest.mark.parametrize(
    ("deflate", "reason"),
    [
        (False, "compression was not agreed on"),
        (True, "only the first frame says compressed"),
    ],
)
def test_a_ping_that_says_compressed_is_refused_for_what_is_wrong_with_it(
    deflate: bool, reason: str
) -> None:
    (broken,) = received(frame(PING, b"", packed=True), deflate=deflate)
    assert broken == Broken(1002, reason)


def test_compressed_messages_are_read_each_by_itself() -> None:
    packed = deflated(b"x" * LIMIT)
    parts = frame(BINARY, packed[:4], fin=False, packed=True) + frame(0, packed[4:])
    stream = frame(TEXT, packed, packed=True) + parts + HELLO
    assert received(stream, deflate=True) == [
        Message("x" * LIMIT),
        Fragment(),
        Message(b"x" * LIMIT),
        Message("hello"),
    ]


def test_without_a_limit_a_message_is_as_long_as_it_is() -> None:
    text = b"x" * 200_000
    stream = frame(TEXT, text) + frame(TEXT, deflated(text), packed=True)
    said = Message(text.decode())
    assert received(stream, limit_bytes=0, deflate=True) == [said, said]


def test_after_our_close_only_the_clients_close_is_looked_for() -> None:
    receiver = Receiver(limit_bytes=LIMIT)
    receiver.feed(frame(TEXT, b"begun", fin=False))
    assert receiver.next() == Fragment()
    receiver.expect_close()
    receiver.feed(frame(0, b"ended") + frame(PING, b"p") + HELLO)
    assert receiver.next() is None
    assert receiver.buffered_bytes == 0
    receiver.feed(close(1000) + HELLO)
    assert receiver.next() == Close(1000)
    receiver.expect_close()
    receiver.feed(HELLO)
    assert receiver.next() is None
    assert receiver.buffered_bytes == 0


def test_a_flood_after_our_close_is_given_up() -> None:
    receiver = Receiver(limit_bytes=LIMIT)
    receiver.expect_close()
    receiver.feed(frame(0, b"", fin=False) * 1_000)
    assert receiver.next() is None
    receiver.feed(frame(0, b"", fin=False))
    assert isinstance(receiver.next(), Broken)


@given(st.integers(0, 1 << 32), st.integers(1, 400), st.booleans())
def test_it_understands_what_the_description_says(
    seed: int, at_once: int, packed: bool
) -> None:
    dice = random.Random(seed)
    made = streams.packed(dice) if packed else streams.frames(dice)
    stream = b"".join(made)
    due = oracle.read(stream, limit_bytes=LIMIT, packed=packed)
    heard = [
        event
        for event in received(stream, deflate=packed, at_once=at_once)
        if not isinstance(event, Fragment | Pong)
    ]
    assert [_as_due(event) for event in heard] == [
        each._replace(is_last=True) if isinstance(each, oracle.Closes) else each
        for each in due
        if not isinstance(each, oracle.Cut)
    ]


def _as_due(event: Event) -> oracle.Event:
    match event:
        case Message(str(text)):
            return oracle.Message(text.encode(), is_text=True)
        case Message(bytes(data)):
            return oracle.Message(data, is_text=False)
        case Ping(payload):
            return oracle.Ping(payload)
        case Close(reply):
            return oracle.Closes(code=reply)
        case Broken(code, _):
            return oracle.Breaks(code)
        case _:
            raise AssertionError(event)


def test_the_key_is_answered_as_in_the_standard() -> None:
    asked = "dGhlIHNhbXBsZSBub25jZQ=="
    assert accept_key(asked) == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    assert accept_key(f" {asked} ") == accept_key(asked)


@pytest.mark.parametrize("key", ["", "AAAA", "not base64!", "é" * 24, "A" * 24 + "="])
def test_what_is_no_key_is_not_answered(key: str) -> None:
    assert accept_key(key) is None
