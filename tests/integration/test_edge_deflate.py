"""permessage-deflate over real sockets: off unless told, and harmless when on."""

import asyncio
import base64
import json
import os
import zlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosedError
from websockets.frames import Opcode

from edge.core.deflated import WINDOW_BITS, deflated
from eventlog.port import EventLog
from schemas.extras import FEATURES
from tests.support.raw_ws import frame
from tests.support.serving import (
    ANNE,
    CHA,
    LONG_S,
    Serving,
    balance,
    price,
    serving,
    the_tokens,
)

OFFER = "permessage-deflate"
OURS = (
    f"{OFFER}; server_max_window_bits=12; "
    "server_no_context_takeover; client_no_context_takeover"
)
LIMIT = 65_536
# A whole flushed block ends so; on the wire it is left out.
TRAILER = b"\x00\x00\xff\xff"
MANY = [f"SP000000000000000000002Q6VF78.token-{n}" for n in range(60)]


async def many_prices(log: EventLog) -> None:
    for each in MANY:
        await price(log, each, "1.5")


@asynccontextmanager
async def packing(folder: Path) -> AsyncIterator[Serving]:
    async with serving(folder, before=many_prices, deflate=True) as running:
        yield running


class Raw(NamedTuple):
    """A frame as it came: its first byte and its payload."""

    head: int
    payload: bytes

    @property
    def is_compressed(self) -> bool:
        return bool(self.head & 0x40)

    @property
    def text(self) -> bytes:
        if not self.is_compressed:
            return self.payload
        # A new window for each: nothing of an earlier message may be needed.
        reading = zlib.decompressobj(-WINDOW_BITS)
        return reading.decompress(self.payload + TRAILER)


class Line:
    """A connection whose frames are read as they come."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._reader, self._writer = reader, writer

    async def head(self) -> str:
        return (await self._reader.readuntil(b"\r\n\r\n")).decode()

    async def next(self) -> Raw:
        async with asyncio.timeout(LONG_S):
            head, size = await self._reader.readexactly(2)
            if size >= 126:
                more = await self._reader.readexactly(2 if size == 126 else 8)
                size = int.from_bytes(more)
            return Raw(head, await self._reader.readexactly(size))

    def say(self, payload: bytes, *, compressed: bool = False) -> None:
        first = Opcode.TEXT | (0x40 if compressed else 0)
        self._writer.write(frame(first, payload))


@asynccontextmanager
async def line(running: Serving, offer: str = OFFER) -> AsyncIterator[tuple[Line, str]]:
    """Connect with an offer; yield the line and the head of the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", running.edge.port)
    key = base64.b64encode(os.urandom(16)).decode()
    writer.write(
        "GET /parties/prices/main HTTP/1.1\r\nHost: edge\r\nUpgrade: websocket\r\n"
        f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
        f"Sec-WebSocket-Extensions: {offer}\r\n\r\n".encode()
    )
    opened = Line(reader, writer)
    try:
        yield opened, await opened.head()
    finally:
        writer.close()
        await writer.wait_closed()


async def snapshot(opened: Line) -> Raw:
    """Return the frame with all prices, past the greeting."""
    while True:
        heard = await opened.next()
        if json.loads(heard.text)["type"] == "PRICE_BATCH":
            return heard


async def test_it_is_off_unless_told(tmp_path: Path) -> None:
    async with (
        serving(tmp_path, before=many_prices) as running,
        line(running) as (opened, head),
    ):
        assert "extensions" not in head.lower()
        assert not (await snapshot(opened)).is_compressed


async def test_long_messages_are_compressed_once_for_all(tmp_path: Path) -> None:
    async with (
        packing(tmp_path) as running,
        line(running) as (one, head),
    ):
        assert f"Sec-WebSocket-Extensions: {OURS}\r\n" in head
        first = await snapshot(one)
        made = deflated.cache_info().misses
        async with line(running) as (two, _):
            second = await snapshot(two)
        assert first.is_compressed
        assert first == second
        assert deflated.cache_info().misses == made
        assert len(first.payload) < len(first.text) / 4
        async with connect(url(running), compression=None) as plain:
            assert (await batch(plain)).encode() == first.text


async def test_what_is_short_goes_as_it_is_to_all_alike(tmp_path: Path) -> None:
    async with packing(tmp_path) as running, line(running) as (one, _):
        await snapshot(one)
        one.say(b'{"type":"SUBSCRIBE","contractIds":["%b"]}' % CHA.encode())
        one.say(b'{"type":"PING","timestamp":1}')
        assert b'"PONG"' in (await one.next()).text
        await price(running.log, CHA, "2")
        update = await one.next()
        assert (update.head, json.loads(update.text)["price"]) == (0x81, 2)


@pytest.mark.parametrize("party", ["prices", "balances"])
@pytest.mark.parametrize("features", [(), FEATURES], ids=["base", "extras"])
async def test_a_library_reads_what_it_would_read_without(
    tmp_path: Path, party: str, features: tuple[str, ...]
) -> None:
    async def filled(log: EventLog) -> None:
        await the_tokens(log)
        await many_prices(log)
        await balance(log, ANNE, CHA, 5)

    hello = {"type": "HELLO", "features": features}
    ids = {"contractIds": MANY} if party == "prices" else {"userIds": [ANNE]}
    said = [hello] * bool(features) + [{"type": "SUBSCRIBE", **ids}]
    async with serving(tmp_path, before=filled, deflate=True) as running:
        heard, without = [
            await answers(url(running, party), said, compression)
            for compression in ("deflate", None)
        ]
        assert heard == without
        assert len(heard) > len(said)


@pytest.mark.parametrize(
    "offer", ["permessage-deflate; server_max_window_bits=10", "x-webkit-deflate-frame"]
)
async def test_an_offer_that_is_not_ours_is_not_taken(
    tmp_path: Path, offer: str
) -> None:
    async with packing(tmp_path) as running, line(running, offer) as (opened, head):
        assert "extensions" not in head.lower()
        assert not (await snapshot(opened)).is_compressed


async def test_a_bomb_is_a_message_too_big(tmp_path: Path) -> None:
    async with packing(tmp_path) as running, connect(url(running)) as socket:
        bomb = json.dumps({"type": "PING", "timestamp": "0" * (50 * LIMIT)})
        await socket.send(bomb)
        with pytest.raises(ConnectionClosedError) as closed:
            await until_pong(socket)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009


@pytest.mark.parametrize(
    ("payload", "deflate", "code"),
    [(b"\xff" * 40, True, 1007), (b"{}", False, 1002)],
    ids=["no deflate", "not agreed on"],
)
async def test_what_cannot_be_inflated_closes(
    tmp_path: Path, payload: bytes, deflate: bool, code: int
) -> None:
    async with (
        serving(tmp_path, deflate=deflate) as running,
        line(running) as (opened, _),
    ):
        opened.say(payload, compressed=True)
        while (heard := await opened.next()).head & 0x0F != Opcode.CLOSE:
            pass
        assert int.from_bytes(heard.payload[:2]) == code


def url(running: Serving, party: str = "prices") -> str:
    return f"ws://{running.host}/parties/{party}/main"


async def answers(
    where: str, said: Sequence[Mapping[str, object]], compression: str | None
) -> list[str]:
    """Return all that is heard until all that is said is answered."""
    async with connect(where, compression=compression) as socket:
        assert len(socket.protocol.extensions) == (compression is not None)
        for each in [*said, {"type": "PING", "timestamp": 7}]:
            await socket.send(json.dumps(each))
        return await until_pong(socket)


async def batch(socket: ClientConnection) -> str:
    while True:
        text = str(await socket.recv())
        if json.loads(text)["type"] == "PRICE_BATCH":
            return text


async def until_pong(socket: ClientConnection) -> list[str]:
    """Return all messages before the pong."""
    heard: list[str] = []
    async with asyncio.timeout(LONG_S):
        while True:
            text = str(await socket.recv())
            if '"PONG"' in text:
                return heard
            heard.append(text)
