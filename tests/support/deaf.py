"""A client that reads when the test says so, and a WebSocket opened by hand."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.support.serving import LONG_S, Serving

Message = dict[str, Any]

_HANDSHAKE = (
    "GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
    "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
_PONG = b"\x8a\x80\0\0\0\0"
# Of a client that does not read: what the system takes for it all the same.
_RECEIVED_BYTES = 16_384


def said(**fields: Any) -> bytes:
    """Return a message of a client as a frame. Its mask is zero: the text stands as it is."""
    text = json.dumps(fields).encode()
    head = (
        bytes((0x81, 0x80 | len(text)))
        if len(text) < 126
        else b"\x81\xfe" + len(text).to_bytes(2, "big")
    )
    return head + b"\0\0\0\0" + text


async def by_hand(
    running: Serving, path: str = "/prices", *, received_bytes: int | None = None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open a WebSocket that does nothing by itself."""
    raw = socket.socket()
    raw.setblocking(False)
    if received_bytes is not None:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, received_bytes)
    address = "127.0.0.1", running.edge.port
    await asyncio.get_running_loop().sock_connect(raw, address)
    reader, writer = await asyncio.open_connection(sock=raw)
    writer.write(_HANDSHAKE.format(path=path).encode())
    await reader.readuntil(b"\r\n\r\n")
    return reader, writer


@dataclass
class Deaf:
    """A client that reads nothing until it is told to."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    _unread: bytes = field(default=b"")

    def say(self, **fields: Any) -> None:
        self.writer.write(said(**fields))

    async def hears(self, until: Callable[[Message], bool]) -> list[Message]:
        """Read from now on, up to a message."""
        self.reader._transport.resume_reading()  # type: ignore[attr-defined]
        heard: list[Message] = []
        async with asyncio.timeout(LONG_S):
            while not (heard and until(heard[-1])):
                message = self._next()
                if message is not None:
                    heard.append(message)
                    continue
                more = await self.reader.read(65_536)
                assert more, "closed before it came"
                self._unread += more
        return heard

    async def is_cut_off(self) -> None:
        """Wait for the end of the connection, whatever stands before it."""
        self.reader._transport.resume_reading()  # type: ignore[attr-defined]
        async with asyncio.timeout(LONG_S):
            try:
                while await self.reader.read(65_536):
                    pass
            except ConnectionResetError:
                pass

    def leave(self) -> None:
        self.writer.transport.abort()

    def _next(self) -> Message | None:
        """Return the next message of what was read; pings among them are answered."""
        while len(self._unread) >= 2:
            opcode, size, start = self._unread[0], self._unread[1], 2
            if size >= 126:
                start = {126: 4, 127: 10}[size]
                size = int.from_bytes(self._unread[2:start], "big")
            if len(self._unread) < start + size:
                return None
            text, self._unread = (
                self._unread[start : start + size],
                self._unread[start + size :],
            )
            if opcode == 0x81:
                message: Message = json.loads(text)
                return message
            self.writer.write(_PONG)
        return None


@asynccontextmanager
async def deaf(running: Serving, path: str = "/prices") -> AsyncIterator[Deaf]:
    """Connect a client that does not read."""
    reader, writer = await by_hand(running, path, received_bytes=_RECEIVED_BYTES)
    reader._transport.pause_reading()  # type: ignore[attr-defined]
    client = Deaf(reader, writer)
    try:
        yield client
    finally:
        client.leave()


async def metric(running: Serving, name: str) -> float:
    """Return a metric of this process, 0 before it was ever counted."""
    async with running.http() as http:
        lines = (await http.get("/metrics")).text.splitlines()
    found = [line.rpartition(" ")[2] for line in lines if line.startswith(f"{name} ")]
    return float(found[0]) if found else 0.0


async def closes(running: Serving, reason: str) -> float:
    """Return how many connections were closed for a reason, in this process so far."""
    return await metric(
        running, f'stacks_feed_client_closes_total{{reason="{reason}"}}'
    )
