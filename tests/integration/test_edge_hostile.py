"""What no client should send: errors that leave the connection open, and closes."""

import asyncio
import base64
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from websockets.frames import Frame, Opcode

from tests.support.serving import (
    CHA,
    LONG_S,
    Serving,
    price,
    serving,
    two_prices,
    update_of,
)

BAD_FORMAT = {"type": "ERROR", "message": "Invalid message format"}
LIMIT = 65_536


@pytest.mark.parametrize(
    "said",
    [
        "",
        "not JSON",
        "null",
        '{"type":"SUBSCRIBE","contractIds":"x"}',
        '{"type":"SUBSCRIBE","contractIds":7}',
        '{"type":"UNSUBSCRIBE","contractIds":{}}',
        "[" * 5_000 + "]" * 5_000,
        "[" * 60_000,
        b'{"type":"PING"}',
        b"\xff\x00",
    ],
    ids=[
        "empty",
        "text",
        "null",
        "list is text",
        "list is a number",
        "list is an object",
        "deep",
        "deep and open",
        "binary",
        "binary rubbish",
    ],
)
@pytest.mark.parametrize("party", ["prices", "balances"])
async def test_what_cannot_be_read_is_an_error(
    tmp_path: Path, said: str | bytes, party: str
) -> None:
    field = "contractIds" if party == "prices" else "userIds"
    if isinstance(said, str):
        said = said.replace("contractIds", field)
    async with (
        serving(tmp_path) as running,
        running.listener(f"/{party}") as listener,
    ):
        await listener.connection.send(said)
        assert await listener.until_now() == [BAD_FORMAT]


@pytest.mark.parametrize(
    "said",
    [
        "7",
        '"PING"',
        "true",
        "[]",
        "{}",
        '{"type":null}',
        '{"type":["PING"]}',
        '{"type":"ping"}',
        '{"type":"REFRESH_METADATA"}',
    ],
)
async def test_an_unknown_type_is_told_the_known_ones(
    tmp_path: Path, said: str
) -> None:
    async with serving(tmp_path) as running, running.listener() as listener:
        await listener.connection.send(said)
        (heard,) = await listener.until_now()
    assert heard.keys() == {"type", "message"}
    assert heard["type"] == "ERROR"
    assert heard["message"].startswith("Unknown message type")
    for known in ("SUBSCRIBE", "UNSUBSCRIBE", "PING", "MANUAL_UPDATE"):
        assert known in heard["message"]


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ('{"type":"PING","timestamp":1}', '{"type":"PONG","timestamp":1}'),
        ('{"type":"PING"}', '{"type":"PONG"}'),
        ('{"type":"PING","timestamp":null}', '{"type":"PONG","timestamp":null}'),
        (
            '{"type":"PING","timestamp":[{"a":"b"}]}',
            '{"type":"PONG","timestamp":[{"a":"b"}]}',
        ),
        *(
            (
                f'{{"type":"PING","timestamp":{number}}}',
                f'{{"type":"PONG","timestamp":{number}}}',
            )
            for number in ("1e400", "-1E-400", "1.50", "-0", "9" * 5_000)
        ),
    ],
)
async def test_a_pong_echoes_whatever_the_ping_said(
    tmp_path: Path, said: str, answer: str
) -> None:
    async with serving(tmp_path) as running, running.listener() as listener:
        await listener.connection.send(said)
        assert await listener.connection.recv() == answer


async def test_a_message_may_be_as_long_as_the_limit(tmp_path: Path) -> None:
    async with serving(tmp_path) as running, running.listener() as listener:
        await listener.connection.send("7".ljust(LIMIT))
        (heard,) = await listener.until_now()
    assert heard["type"] == "ERROR"


@pytest.mark.parametrize("said", ["7".ljust(LIMIT + 1), b"7" * (LIMIT + 1)])
async def test_a_longer_message_closes(tmp_path: Path, said: str | bytes) -> None:
    async with serving(tmp_path) as running, running.listener() as listener:
        await listener.connection.send(said)
        assert (await listener.closed())[0] == 1009


async def test_a_long_message_in_fragments_closes(tmp_path: Path) -> None:
    async with serving(tmp_path) as running, running.listener() as listener:
        await listener.connection.send("x" * 1_024 for _ in range(80))
        assert (await listener.closed())[0] == 1009


async def test_the_limit_can_be_set(tmp_path: Path) -> None:
    async with (
        serving(tmp_path, message_bytes=100) as running,
        running.listener() as listener,
    ):
        await listener.connection.send("7" * 101)
        assert (await listener.closed())[0] == 1009


@asynccontextmanager
async def raw(
    running: Serving, path: str = "/prices"
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Open a WebSocket by hand and leave the rest to the test."""
    reader, writer = await asyncio.open_connection("127.0.0.1", running.edge.port)
    key = base64.b64encode(os.urandom(16)).decode()
    writer.write(
        f"GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
        f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Key: {key}\r\n\r\n".encode()
    )
    try:
        assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
        yield reader, writer
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def close_code(reader: asyncio.StreamReader) -> int:
    """Read to the end; return the code in the close frame, which is the last frame."""
    async with asyncio.timeout(LONG_S):
        heard = await reader.read()
    # The reason is constant ASCII text and holds no such byte.
    _, _, payload = heard.rpartition(b"\x88")
    return int.from_bytes(payload[1:3])


def masked(opcode: Opcode, payload: bytes) -> bytes:
    return Frame(opcode, payload).serialize(mask=True)


async def test_text_that_is_not_utf_8_closes(tmp_path: Path) -> None:
    async with serving(tmp_path) as running, raw(running) as (reader, writer):
        writer.write(masked(Opcode.TEXT, b"\xc3\x28"))
        assert await close_code(reader) == 1007


async def test_a_broken_frame_closes(tmp_path: Path) -> None:
    async with serving(tmp_path) as running, raw(running) as (reader, writer):
        writer.write(b"\xf1\x80\0\0\0\0")
        assert await close_code(reader) == 1002


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (masked(Opcode.TEXT, b"7" * 2_000_000), 1009),
        (masked(Opcode.TEXT, b"\xff") + b"\x81\x80" * 500_000, 1007),
        (b"\xf1\x80\0\0\0\0" * 200_000, 1002),
    ],
    ids=["long", "not UTF-8", "broken"],
)
async def test_who_still_sends_is_told_why_it_is_closed(
    tmp_path: Path, said: bytes, code: int
) -> None:
    async with serving(tmp_path) as running, raw(running) as (reader, writer):
        writer.write(masked(Opcode.TEXT, b"7"))
        writer.write(said)
        await writer.drain()
        assert await close_code(reader) == code


async def test_who_breaks_off_in_a_frame_disturbs_nobody(tmp_path: Path) -> None:
    async with serving(tmp_path, before=two_prices) as running:
        async with raw(running) as (_, writer):
            writer.write(masked(Opcode.TEXT, b'{"type":"SUBSCRIBE"}'))
            writer.write(masked(Opcode.TEXT, b"x" * 500)[:100])
            await writer.drain()
            writer.transport.abort()
        async with running.listener() as listener:
            await listener.asks("SUBSCRIBE", contractIds=[CHA])
            await price(running.log, CHA, "0.5")
            await running.taken_in()
            assert await listener.until_now() == [update_of(CHA, 0.5)]


async def test_an_upgrade_without_a_key_is_refused(tmp_path: Path) -> None:
    async with serving(tmp_path) as running, running.http() as http:
        headers = {"Upgrade": "websocket", "Connection": "Upgrade"}
        answer = await http.get("/prices", headers=headers)
    assert answer.status_code == 400


async def test_a_flood_of_messages_is_answered_in_order(tmp_path: Path) -> None:
    async with (
        serving(tmp_path, before=two_prices) as running,
        running.listener() as listener,
    ):
        for number in range(2_000):
            await listener.send("PING", timestamp=number)
        heard = [(await listener.next())["timestamp"] for _ in range(2_000)]
    assert heard == list(range(2_000))
