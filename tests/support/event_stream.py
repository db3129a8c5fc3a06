"""A reader of server-sent events over a plain socket, block by block."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from tests.support.serving import LONG_S, Serving

Message = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Block:
    """What stands between two blank lines."""

    id: str | None = None
    data: Message | None = None
    retry_ms: int | None = None
    comment: str | None = None


def block_of(text: str) -> Block:
    """Read one block, each field of which stands in it once."""
    fields = dict(line.split(":", maxsplit=1) for line in text.strip("\n").split("\n"))
    found = {name: value.removeprefix(" ") for name, value in fields.items()}
    data, retry = found.get("data"), found.get("retry")
    return Block(
        id=found.get("id"),
        data=None if data is None else json.loads(data),
        retry_ms=None if retry is None else int(retry),
        comment=found.get(""),
    )


@dataclass
class EventStream:
    """One stream as a test reads it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    head: str
    last_id: str | None = None

    async def block(self) -> Block:
        async with asyncio.timeout(LONG_S):
            text = await self.reader.readuntil(b"\n\n")
        found = block_of(text.decode())
        self.last_id = found.id or self.last_id
        return found

    async def next(self) -> Message:
        """Return the next message, whatever stands before it."""
        while (found := (await self.block()).data) is None:
            pass
        return found

    async def until_id(self) -> list[Message]:
        """Return the messages up to the one after which nothing waits."""
        heard = []
        while True:
            found = await self.block()
            if found.data is not None:
                heard.append(found.data)
            if found.id is not None:
                return heard

    def stop_reading(self) -> None:
        self.reader._transport.pause_reading()  # type: ignore[attr-defined]

    def read_on(self) -> None:
        self.reader._transport.resume_reading()  # type: ignore[attr-defined]

    async def rest(self) -> str:
        """Return what comes up to the end of the connection."""
        async with asyncio.timeout(LONG_S):
            return (await self.reader.read()).decode()


def streaming(
    running: Serving, path: str = "/prices", **how: Any
) -> AbstractAsyncContextManager[EventStream]:
    """Open a stream of an edge as ``streaming_from`` does."""
    return streaming_from(running.edge.port, path, **how)


@asynccontextmanager
async def streaming_from(
    port: int,
    path: str,
    *,
    version: str = "1.1",
    headers: Mapping[str, str] | None = None,
    received_bytes: int | None = None,
) -> AsyncIterator[EventStream]:
    """Open a stream at a port of this machine and read the head of the answer.

    ``received_bytes`` is what the system takes for a reader that does not read.
    """
    raw = socket.socket()
    raw.setblocking(False)
    if received_bytes is not None:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, received_bytes)
    try:
        await asyncio.get_running_loop().sock_connect(raw, ("127.0.0.1", port))
    except OSError:
        raw.close()
        raise
    reader, writer = await asyncio.open_connection(sock=raw)
    said = {"Host": "x", "Accept": "text/event-stream", **(headers or {})}
    lines = [f"{name}: {value}\r\n" for name, value in said.items()]
    writer.write(f"GET {path} HTTP/{version}\r\n{''.join(lines)}\r\n".encode())
    try:
        async with asyncio.timeout(LONG_S):
            head = await reader.readuntil(b"\r\n\r\n")
        yield EventStream(reader, writer, head.decode().lower())
    finally:
        writer.close()
