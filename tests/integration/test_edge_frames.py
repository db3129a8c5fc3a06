"""Frames on a real socket: what must not be sent is answered with the right close code."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from edge.config import Allowances
from edge.core.limits import Rate
from tests.support.raw_ws import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    Heard,
    RawSocket,
    connect_raw,
    deflated,
    frame,
    open_raw,
)
from tests.support.serving import LONG_S, Serving, serving

ASKED = b'{"type":"PING","timestamp":1}'
ANSWER = Heard(TEXT, b'{"type":"PONG","timestamp":1}')
BURST = 100
SOME = Allowances(messages=Rate(20, BURST))


def close(code: int, reason: bytes = b"") -> bytes:
    return frame(CLOSE, code.to_bytes(2) + reason)


@asynccontextmanager
async def connected(
    running: Serving, *, packed: bool = False
) -> AsyncIterator[RawSocket]:
    """Connect and hear the greeting."""
    connection = await open_raw(running.edge.port, "/balances", packed=packed)
    try:
        async with asyncio.timeout(LONG_S):
            greeting = await connection.next()
        assert greeting is not None
        assert json.loads(greeting.payload)["type"] == "SERVER_INFO"
        yield connection
    finally:
        if not connection.ended:
            connection.transport.abort()


async def heard_to_the_end(connection: RawSocket) -> list[Heard]:
    heard = []
    async with asyncio.timeout(LONG_S):
        while (each := await connection.next()) is not None:
            heard.append(each)
    return heard


def code_of(heard: Heard) -> int:
    assert heard.opcode == CLOSE
    return int.from_bytes(heard.payload[:2])


REFUSED: dict[str, tuple[bytes, int]] = {
    "a text without a mask": (b"\x81\x1d" + ASKED, 1002),
    "a ping without a mask": (b"\x89\x00", 1002),
    "a close without a mask": (b"\x88\x02\x03\xe8", 1002),
    "the first reserved bit": (b"\xc1\x80\0\0\0\0", 1002),
    "the second reserved bit": (b"\xa1\x80\0\0\0\0", 1002),
    "the third reserved bit": (b"\x91\x80\0\0\0\0", 1002),
    "a reserved opcode for data": (b"\x83\x80\0\0\0\0", 1002),
    "a reserved opcode for control": (b"\x8b\x80\0\0\0\0", 1002),
    "a ping in parts": (frame(PING, b"", fin=False), 1002),
    "a close in parts": (frame(CLOSE, b"", fin=False), 1002),
    "a long ping": (frame(PING, b"x" * 126), 1002),
    "a long close": (close(1000, b"x" * 124), 1002),
    "a continuation of nothing": (frame(0, b"x"), 1002),
    "a message within a message": (
        frame(TEXT, b"x", fin=False) + frame(TEXT, b"x"),
        1002,
    ),
    "an empty beginning of two messages": (
        frame(TEXT, b"", fin=False) + frame(BINARY, b""),
        1002,
    ),
    "a length of 64 bits": (b"\x81\xff\x80" + b"\0" * 11, 1002),
    "text that is not UTF-8": (frame(TEXT, b"\xc3\x28"), 1007),
    "a reason that is not UTF-8": (close(1000, b"\xff"), 1007),
    "a message too long": (frame(TEXT, b"x" * 65_537), 1009),
    "half a close code": (frame(CLOSE, b"\x03"), 1002),
    **{
        f"close {code}": (close(code), 1002)
        for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535)
    },
}


@pytest.mark.parametrize(("said", "code"), REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("deflate", [False, True], ids=["plain", "deflate"])
async def test_what_must_not_be_sent_closes_with_the_code_for_it(
    tmp_path: Path, said: bytes, code: int, deflate: bool
) -> None:
    if deflate and said.startswith(b"\xc1"):
        said = frame(PING, b"", packed=True)  # there it stands for compression
    async with (
        serving(tmp_path, deflate=deflate) as running,
        connected(running, packed=deflate) as connection,
    ):
        connection.send(frame(TEXT, ASKED) + said + frame(TEXT, ASKED))
        answer, end = await heard_to_the_end(connection)
        assert (answer, code_of(end)) == (ANSWER, code)


@pytest.mark.parametrize(
    ("said", "reply"),
    [
        (frame(CLOSE, b""), 1000),
        *((close(code), code) for code in (1000, 1001, 1011, 1014, 3000, 4001, 4999)),
        (close(4001, b"going"), 4001),
    ],
)
async def test_a_close_is_answered_with_its_own_code(
    tmp_path: Path, said: bytes, reply: int
) -> None:
    async with serving(tmp_path) as running, connected(running) as connection:
        connection.send(said)
        (end,) = await heard_to_the_end(connection)
        assert end == Heard(CLOSE, reply.to_bytes(2))


async def test_sound_frames_of_every_kind_are_served(tmp_path: Path) -> None:
    async with serving(tmp_path) as running, connected(running) as connection:
        connection.send(
            frame(PONG, b"unasked")
            + frame(TEXT, ASKED[:9], fin=False, mask=b"mask")
            + frame(PING, b"p" * 125, mask=b"ping")
            + frame(0, b"", fin=False)
            + frame(0, ASKED[9:])
            + close(1000)
        )
        assert await heard_to_the_end(connection) == [
            Heard(PONG, b"p" * 125),
            ANSWER,
            Heard(CLOSE, b"\x03\xe8"),
        ]


async def test_what_is_said_with_the_handshake_is_heard(tmp_path: Path) -> None:
    async with serving(tmp_path) as running:
        connection = await connect_raw(running.edge.port)
        connection.send(
            b"GET /balances HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
            b"Connection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
            + frame(TEXT, ASKED)
            + close(1000)
        )
        greeting, answer, end = await heard_to_the_end(connection)
        assert (answer, code_of(end)) == (ANSWER, 1000)
        assert b"SERVER_INFO" in greeting.payload


@pytest.mark.parametrize(
    ("head", "status"),
    [
        ({"Sec-WebSocket-Key": "short"}, 400),
        ({"Connection": "keep-alive"}, 400),
        ({"Sec-WebSocket-Version": "12"}, 426),
        ({"Sec-WebSocket-Version": ""}, 426),
        ({"Upgrade": "h2c, websocket", "Sec-WebSocket-Version": "12"}, 426),
    ],
)
async def test_a_handshake_that_is_none_is_refused(
    tmp_path: Path, head: dict[str, str], status: int
) -> None:
    sound = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    }
    async with serving(tmp_path) as running, running.http() as http:
        answer = await http.get("/prices", headers=sound | head)
    assert answer.status_code == status
    assert answer.json()["error"] == "bad-request"
    assert answer.headers.get("Sec-WebSocket-Version") == (
        "13" if status == 426 else None
    )


HANDSHAKE = (
    "Host: x",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
)
HANDSHAKES = {
    "sound": ("HTTP/1.1", ("Upgrade: websocket",), 101),
    "one protocol among others": ("HTTP/1.1", ("Upgrade: h2c, WebSocket",), 101),
    "protocols in two headers": (
        "HTTP/1.1",
        ("Upgrade: h2c", "Upgrade: websocket"),
        101,
    ),
    "an old version of HTTP": ("HTTP/1.0", ("Upgrade: websocket",), 400),
    "two keys": ("HTTP/1.1", ("Upgrade: websocket", HANDSHAKE[3]), 400),
    "two versions": ("HTTP/1.1", ("Upgrade: websocket", HANDSHAKE[2]), 400),
    "another protocol": ("HTTP/1.1", ("Upgrade: h2c",), 200),
}


@pytest.mark.parametrize(
    ("version", "more", "status"), HANDSHAKES.values(), ids=HANDSHAKES
)
async def test_a_handshake_is_held_to_every_rule(
    tmp_path: Path, version: str, more: tuple[str, ...], status: int
) -> None:
    async with serving(tmp_path) as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.edge.port)
        head = "\r\n".join((f"GET /balances {version}", *HANDSHAKE, *more, "\r\n"))
        writer.write(head.encode())
        async with asyncio.timeout(LONG_S):
            answer = await reader.readuntil(b"\r\n\r\n")
            assert answer.startswith(f"{version} {status} ".encode())
            if status == 101:
                writer.write(frame(TEXT, b'{"type":"PING","timestamp":7}'))
                assert await reader.readuntil(b'{"type":"PONG","timestamp":7}')
        writer.close()


FLOODS = {
    "empty continuations": frame(0, b"", fin=False),
    "continuations of one byte": frame(0, b"x", fin=False),
    "pings": frame(PING, b""),
    "pongs": frame(PONG, b""),
    "texts": frame(TEXT, ASKED),
}


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
async def test_frames_that_hold_next_to_nothing_count_as_messages(
    tmp_path: Path, flood: bytes
) -> None:
    async with (
        serving(tmp_path, allowances=SOME) as running,
        connected(running) as connection,
    ):
        opening = frame(TEXT, b"{", fin=False) if flood[0] == 0 else b""
        connection.send(opening + flood * 100_000)
        *_, told, end = await heard_to_the_end(connection)
        assert json.loads(told.payload)["message"] == "Too many messages"
        assert (code_of(end), end.payload[2:]) == (1008, b"too many messages")
        # The flood disturbs nobody else.
        async with running.listener() as listener:
            assert await listener.until_now() == []


async def test_a_long_message_in_parts_of_usual_length_is_one_message(
    tmp_path: Path,
) -> None:
    padded = ASKED.ljust(60_000)
    parts = [padded[at : at + 256] for at in range(0, len(padded), 256)]
    assert len(parts) > 2 * BURST
    async with (
        serving(tmp_path, allowances=SOME) as running,
        connected(running) as connection,
    ):
        for number, part in enumerate(parts):
            opcode = 0 if number else TEXT
            connection.send(frame(opcode, part, fin=number == len(parts) - 1))
        assert await connection.next() == ANSWER


async def test_who_never_stops_sending_is_cut_off(tmp_path: Path) -> None:
    async with serving(tmp_path) as running, connected(running) as connection:
        connection.send(frame(TEXT, b"x" * 65_537))
        async with asyncio.timeout(LONG_S):
            await _sends_until_cut_off(connection, frame(BINARY, b"x" * 1_000_000))
        assert code_of(connection.inbox[0]) == 1009


async def _sends_until_cut_off(connection: RawSocket, more: bytes) -> None:
    while not connection.ended:
        if connection.transport.get_write_buffer_size() < len(more):
            connection.send(more)
        await asyncio.sleep(0)


@pytest.mark.parametrize("size", [65_536, 65_537])
async def test_a_compressed_message_is_held_to_the_very_limit(
    tmp_path: Path, size: int
) -> None:
    async with (
        serving(tmp_path, deflate=True) as running,
        connected(running, packed=True) as connection,
    ):
        connection.send(frame(TEXT, deflated(ASKED.ljust(size)), packed=True))
        heard = await connection.next()
        assert heard is not None
        assert heard == ANSWER if size == 65_536 else code_of(heard) == 1009
