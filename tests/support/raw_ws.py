"""A WebSocket client made by hand: it sends any bytes, right or wrong, and keeps what it hears.

It answers pings and does nothing else by itself.
"""

import asyncio
import os
import socket
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import NamedTuple

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
_MASK = b"\0\0\0\0"  # the payload stands as it is
_HANDSHAKE = (
    "GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
    "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n{offer}\r\n"
)
_OFFER = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
_GRANTED = b"permessage-deflate"
_PACKED = 0x40
_TRAILER = b"\x00\x00\xff\xff"
_END_OF_HEAD = b"\r\n\r\n"


class Heard(NamedTuple):
    """One frame of a server."""

    opcode: int
    payload: bytes


class BrokenFrame(Exception):
    """A server sent what is no frame of a server: masked, cut up, reserved bits."""


def frame(
    opcode: int,
    payload: bytes,
    *,
    mask: bytes = _MASK,
    fin: bool = True,
    packed: bool = False,
) -> bytes:
    """Return a frame as a client sends it; ``packed`` says that the message is compressed."""
    size = len(payload)
    first = (0x80 if fin else 0) | (_PACKED if packed else 0) | opcode
    if size < 126:
        head = bytes((first, 0x80 | size))
    elif size < 65_536:
        head = bytes((first, 0xFE)) + size.to_bytes(2, "big")
    else:
        head = bytes((first, 0xFF)) + size.to_bytes(8, "big")
    return head + mask + masked(payload, mask)


def deflated(text: bytes, *, mode: int = zlib.Z_SYNC_FLUSH) -> bytes:
    """Return the payload of a compressed message."""
    made = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    flushed = made.compress(text) + made.flush(mode)
    # A last block is followed by an empty one, of which the trailer is the rest.
    return flushed + b"\0" if mode == zlib.Z_FINISH else flushed.removesuffix(_TRAILER)


def masked(payload: bytes, mask: bytes) -> bytes:
    """Return a payload as it stands under a mask."""
    if mask == _MASK or not payload:
        return payload
    repeated = (mask * (len(payload) // 4 + 1))[: len(payload)]
    number = int.from_bytes(payload, "big") ^ int.from_bytes(repeated, "big")
    return number.to_bytes(len(payload), "big")


class _Frames:
    """Frames of a server out of the bytes as they come; compressed ones if it may."""

    def __init__(self) -> None:
        self._left = bytearray()
        self.may_pack = False

    def take(self, more: bytes) -> Iterator[Heard]:
        self._left += more
        at = 0
        while (found := self._next(at)) is not None:
            heard, at = found
            yield heard
        del self._left[:at]

    def _next(self, at: int) -> tuple[Heard, int] | None:
        left = self._left
        if len(left) - at < 2:
            return None
        first, size, start = left[at], left[at + 1], at + 2
        bits = 0x30 if self.may_pack else 0x70
        if first & bits or not first & 0x80 or size & 0x80:
            raise BrokenFrame(bytes(left[at : at + 16]).hex())
        if size >= 126:
            start += 2 if size == 126 else 8
            if len(left) < start:
                return None
            size = int.from_bytes(left[at + 2 : start], "big")
        if len(left) < start + size:
            return None
        payload = bytes(left[start : start + size])
        if first & _PACKED:
            payload = zlib.decompressobj(-zlib.MAX_WBITS).decompress(payload + _TRAILER)
        return Heard(first & 0xF, payload), start + size


class RawSocket(asyncio.Protocol):
    """One connection. Frames heard wait in ``inbox``; ``changed`` is set at each arrival.

    ``head`` is the answer to the handshake, once it is there. ``ended``: the other side
    has gone, or we are cut off. With a ``sink`` frames go there instead.
    """

    sink: Callable[[Heard], None] | None = None

    def __init__(self) -> None:
        self.inbox: deque[Heard] = deque()
        self.changed = asyncio.Event()
        self.head: bytes | None = None
        self.ended = False
        self.broken: BrokenFrame | None = None
        self._raw_head = b""
        self._frames = _Frames()
        self._transport: asyncio.Transport | None = None

    @property
    def transport(self) -> asyncio.Transport:
        assert self._transport is not None
        return self._transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self.head is None:
            self._raw_head += data
            head, end, data = self._raw_head.partition(_END_OF_HEAD)
            if not end:
                return
            self.head, self._frames.may_pack = head, _GRANTED in head
        try:
            for heard in self._frames.take(data):
                self.heard(heard)
        except BrokenFrame as error:
            self.broken, self.ended = error, True
            self.transport.abort()
        self.changed.set()

    def heard(self, heard: Heard) -> None:
        """Take one frame in."""
        if heard.opcode == PING:
            self.send(frame(PONG, heard.payload))
        elif self.sink is not None:
            self.sink(heard)
        else:
            self.inbox.append(heard)

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended = True
        self.changed.set()

    def send(self, data: bytes) -> None:
        """Send bytes as they are; harmless once the connection has ended."""
        if not self.transport.is_closing():
            self.transport.write(data)

    async def wait(self) -> None:
        """Wait for more to arrive."""
        await self.changed.wait()
        self.changed.clear()

    async def next(self) -> Heard | None:
        """Return the next frame; ``None`` at the end of the connection."""
        while not self.inbox and not self.ended:
            await self.wait()
        return self.inbox.popleft() if self.inbox else None


async def open_raw(
    port: int, path: str, *, received_bytes: int | None = None, packed: bool = False
) -> RawSocket:
    """Open a WebSocket, ``packed`` with an offer of permessage-deflate.

    Raises ``ConnectionError`` when it is refused.
    """
    connection = await connect_raw(port, received_bytes=received_bytes)
    offer = _OFFER if packed else ""
    connection.send(_HANDSHAKE.format(path=path, offer=offer).encode())
    try:
        while connection.head is None and not connection.ended:
            await connection.wait()
    except BaseException:
        connection.transport.abort()
        raise
    if connection.head is None or b" 101 " not in connection.head:
        connection.transport.abort()
        raise ConnectionError(f"no handshake: {connection.head!r}")
    return connection


async def connect_raw(port: int, *, received_bytes: int | None = None) -> RawSocket:
    """Connect and say nothing."""
    raw = socket.socket()
    raw.setblocking(False)
    if received_bytes is not None:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, received_bytes)
    loop = asyncio.get_running_loop()
    try:
        await loop.sock_connect(raw, ("127.0.0.1", port))
        _, connection = await loop.create_connection(RawSocket, sock=raw)
    except BaseException:
        with suppress(OSError):
            raw.close()
        raise
    return connection


def random_mask() -> bytes:
    """Return a mask as real clients draw it."""
    return os.urandom(4)
