"""An upstream over a real socket that answers exactly what a test tells it to."""

import asyncio
import base64
import hashlib
import json
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

DATA = Path(__file__).parents[1] / "data" / "upstream"
Header = tuple[str, str]


@dataclass(frozen=True)
class Asked:
    """A request as it came: names of headers in lower case."""

    method: str
    path: str
    headers: dict[str, str]


@dataclass(frozen=True)
class Reply:
    """An answer. ``raw`` stands for the whole of it, head included.

    With ``stall`` nothing follows what was sent, and the connection stays open.
    """

    status: int = 200
    headers: Sequence[Header] = ()
    body: bytes = b""
    raw: bytes | None = None
    stall: bool = False
    close: bool = False

    def wire(self) -> bytes:
        if self.raw is not None:
            return self.raw
        sized = any(name.lower() == "content-length" for name, _ in self.headers)
        length = [] if sized else [("Content-Length", str(len(self.body)))]
        lines = [f"{name}: {value}" for name, value in [*self.headers, *length]]
        reason = "OK" if self.status == HTTPStatus.OK else "Whatever"
        head = "\r\n".join([f"HTTP/1.1 {self.status} {reason}", *lines, "", ""])
        return head.encode("latin-1") + self.body


Answer = Callable[[Asked], Reply]


@dataclass
class Replaying:
    """The upstream: where it is, and what it was asked."""

    answer: Answer
    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    came: asyncio.Condition = field(default_factory=asyncio.Condition)
    open: "dict[asyncio.Task[Any], asyncio.StreamWriter]" = field(default_factory=dict)

    async def until(self, enough: Callable[[list[Asked]], bool]) -> None:
        """Wait until enough was asked."""
        async with self.came:
            await self.came.wait_for(lambda: enough(self.asked))

    async def serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Answer the requests of one connection."""
        task = asyncio.current_task()
        assert task is not None
        self.open[task] = writer
        try:
            await self._serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            del self.open[task]
            writer.close()

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while True:
            asked = await _asked(reader)
            async with self.came:
                self.asked.append(asked)
                self.came.notify_all()
            reply = self.answer(asked)
            writer.write(reply.wire())
            await writer.drain()
            if reply.stall:
                await reader.read()
                return
            if reply.close:
                return


@asynccontextmanager
async def replaying(answer: Answer) -> AsyncIterator[Replaying]:
    """Serve what ``answer`` says until the block ends."""
    upstream = Replaying(answer)
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0)
    upstream.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield upstream
    finally:
        server.close()
        for writer in upstream.open.values():
            writer.transport.abort()
        if upstream.open:
            await asyncio.wait(list(upstream.open))
        await server.wait_closed()


async def _asked(reader: asyncio.StreamReader) -> Asked:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.rstrip("\r\n").split("\r\n")
    method, path, _ = first.split(" ", 2)
    pairs = (line.partition(":") for line in lines)
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    await reader.readexactly(int(headers.get("content-length", "0")))
    return Asked(method, path, headers)


def accepted(asked: Asked, *sent: bytes, more: Sequence[Header] = ()) -> Reply:
    """Take the handshake of a WebSocket, then send these bytes and no more."""
    key = asked.headers["sec-websocket-key"].encode()
    token = base64.b64encode(hashlib.sha1(key + _WEBSOCKET).digest()).decode()  # noqa: S324 - RFC 6455
    headers = [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Accept", token),
        *more,
    ]
    lines = [f"{name}: {value}" for name, value in headers]
    head = "\r\n".join(["HTTP/1.1 101 Switching Protocols", *lines, "", ""])
    return Reply(raw=head.encode() + b"".join(sent), stall=True)


_WEBSOCKET = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, BINARY, PING, CONTINUATION = 0x1, 0x2, 0x9, 0x0


def ws_frame(content: bytes, opcode: int = TEXT, *, fin: bool = True) -> bytes:
    """Return a frame as a server sends it."""
    first = bytes([opcode | 0x80 if fin else opcode])
    size = len(content)
    if size < 126:
        return first + bytes([size]) + content
    if size < 65_536:
        return first + b"\x7e" + size.to_bytes(2) + content
    return first + b"\x7f" + size.to_bytes(8) + content


def scripted(names: Iterable[str]) -> Answer:
    """Answer from files of ``tests/data/upstream``, the first that fits before the rest.

    An entry with ``times`` is used up after so many answers; a path may end in ``*``;
    ``@N@`` in a header becomes a number that no other answer has.
    """
    files = [json.loads((DATA / f"{name}.json").read_text()) for name in names]
    entries = [dict(entry) for file in files for entry in file["answers"]]
    count = 0

    def answer(asked: Asked) -> Reply:
        nonlocal count
        count += 1
        entry = next((e for e in entries if _fits(e, asked)), None)
        if entry is None:
            return Reply(404, body=b'{"error": "Not Found"}')
        if "times" in entry:
            entry["times"] -= 1
        headers = [(k, v.replace("@N@", str(count))) for k, v in entry["headers"]]
        return Reply(entry["status"], headers, _body(entry))

    return answer


def _fits(entry: dict[str, Any], asked: Asked) -> bool:
    path, said = asked.path.partition("?")[0], entry["path"]
    same = path.startswith(said[:-1]) if said.endswith("*") else path == said
    return same and entry["method"] == asked.method and entry.get("times", 1) > 0


def _body(entry: dict[str, Any]) -> bytes:
    if "base64" in entry:
        return base64.b64decode(entry["base64"])
    text = entry.get("text")
    return (json.dumps(entry.get("json")) if text is None else text).encode()
