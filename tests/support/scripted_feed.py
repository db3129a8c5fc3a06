"""A feed server whose every word a test says."""

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from stacks_feed_client.core.writing import FEATURES
from tests.support.serving import LONG_S

Message = dict[str, Any]


@dataclass
class Visit:
    """One client's connection."""

    socket: ServerConnection
    path: str
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def hears(self, kind: str) -> Message:
        """Return the next message of a kind; others before it are passed over."""
        async with asyncio.timeout(LONG_S):
            while True:
                said: Message = json.loads(await self.socket.recv())
                if said["type"] == kind:
                    return said

    async def says(self, *messages: Message) -> None:
        for message in messages:
            await self.socket.send(json.dumps(message))

    async def welcomes(self, *features: str, heartbeat_ms: int = 5_000) -> None:
        await self.hears("HELLO")
        granted = list(features or (each for each in FEATURES if each != "seq"))
        welcome = {"type": "WELCOME", "features": granted, "heartbeatMs": heartbeat_ms}
        await self.says(welcome)

    async def answers(self, *messages: Message, **subscribed: Any) -> Message:
        """Answer the next ``SUBSCRIBE`` with these; return it."""
        asked = await self.hears("SUBSCRIBE")
        ping = await self.hears("PING")
        await self.says({"type": "SUBSCRIBED", **subscribed}, *messages)
        await self.says({"type": "PONG", "timestamp": ping["timestamp"]})
        return asked

    async def gone(self) -> None:
        """Return when the client has left."""
        async with asyncio.timeout(LONG_S):
            await self.socket.wait_closed()

    async def closes(self, code: int, reason: str = "") -> None:
        await self.socket.close(code, reason)
        self.over.set()


@dataclass
class Scripted:
    """The server: its visitors in order, and whom it refuses before."""

    port: int = 0
    visits: "asyncio.Queue[Visit]" = field(default_factory=asyncio.Queue)
    refusals: "deque[tuple[HTTPStatus, Mapping[str, str]]]" = field(
        default_factory=deque
    )
    refused: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    async def visit(self) -> Visit:
        async with asyncio.timeout(LONG_S):
            return await self.visits.get()

    async def receive(self, socket: ServerConnection) -> None:
        assert socket.request is not None
        visit = Visit(socket, socket.request.path)
        self.visits.put_nowait(visit)
        await socket.wait_closed()

    def judge(self, socket: ServerConnection, request: Request) -> Response | None:
        if not self.refusals:
            return None
        status, headers = self.refusals.popleft()
        response = socket.respond(status, "not now\n")
        response.headers.update(headers)
        self.refused.set()
        return response


@asynccontextmanager
async def scripted() -> AsyncIterator[Scripted]:
    server = Scripted()
    opened = serve(
        server.receive, "127.0.0.1", 0, process_request=server.judge, close_timeout=0.1
    )
    async with opened as listening:
        server.port = next(iter(listening.sockets)).getsockname()[1]
        yield server


@dataclass
class Answering:
    """A server that has the same bytes for everybody, and keeps what it was asked."""

    port: int = 0
    asked: list[bytes] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"


@asynccontextmanager
async def answering(answer: bytes) -> AsyncIterator[Answering]:
    """Run a server that answers every request with ``answer``, and closes."""
    server = Answering()

    async def receive(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            server.asked.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(answer)
            await writer.drain()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    listening = await asyncio.start_server(receive, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        await listening.wait_closed()
