"""Hostile upstreams over real sockets, and one good source among them."""

import asyncio
import base64
import hashlib
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from random import Random

from tests.hostile.answers import (
    End,
    Hostile,
    Kind,
    dead,
    good,
    odd,
    push_frames,
)
from tests.support.foreign import USER
from tests.support.replaying import CONTINUATION, PING, TEXT, ws_frame

_WEBSOCKET = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
# How long a source is good, odd or dead at a stretch.
_SPELL_S = (5.0, 25.0)
_FLOOD_READ_S = 1.0
_BODILESS = frozenset({204, 304})
_NAMES = {
    "/api/prices": "kraxel",
    "/tokens": "stxtools",
    "/api/v1/prices": "internal",
    "/api/v1/metadata": "charisma",
    "/metadata/v1/ft": "hiro-metadata",
    "/extended/v": "hiro",
    "/v2/contracts/call-read/": "subnet-call",
}


def source_of(path: str) -> str:
    """Return which source a path is asked for."""
    fits = [start for start in _NAMES if path.startswith(start)]
    return _NAMES[max(fits, key=len)] if fits else "push"


@dataclass
class Served:
    """What one source was asked and answered, as far as its state follows from it."""

    spell: Kind = Kind.ODD
    spell_ends_s: float = 0.0
    # When a right answer last went out whole, and one that may have been of use.
    good_s: float | None = None
    of_use_s: float | None = None
    # The first request since then.
    asked_s: float | None = None
    answers: "Counter[str]" = field(default_factory=Counter)

    def asked(self, now_s: float) -> None:
        if self.asked_s is None:
            self.asked_s = now_s

    def answered(self, kind: Kind, now_s: float) -> None:
        self.answers[kind.name] += 1
        if kind is Kind.DEAD:
            return
        self.of_use_s, self.asked_s = now_s, None
        if kind is Kind.GOOD:
            self.good_s = now_s


@dataclass
class Upstreams:
    """All of them behind one port; ``good`` names the sources that never do wrong."""

    seed: int
    good: frozenset[str]
    url: str = ""
    sources: dict[str, Served] = field(default_factory=dict)
    requests: int = 0
    cookies: int = 0
    sockets: int = 0
    strangers: int = 0
    _open: "dict[asyncio.Task[object], asyncio.StreamWriter]" = field(
        default_factory=dict
    )

    def __post_init__(self) -> None:
        self._random = Random(self.seed)

    async def serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Answer the requests of one connection until it is cut."""
        task = asyncio.current_task()
        assert task is not None
        self._open[task] = writer
        try:
            while await self._answer(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            del self._open[task]
            writer.close()

    async def close(self) -> None:
        for writer in self._open.values():
            writer.transport.abort()
        if self._open:
            await asyncio.wait(list(self._open))

    async def _answer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Answer one request; return whether another may follow."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.rstrip("\r\n").split("\r\n")
        path = first.split(" ")[1].partition("?")[0]
        headers = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines)
        }
        await reader.readexactly(int(headers.get("content-length", "0")))
        self.cookies += "cookie" in headers
        if "sec-websocket-key" in headers:
            self.sockets += 1
            await self._push(reader, writer, headers["sec-websocket-key"])
            return False
        self.requests += 1
        return await self._http(reader, writer, path)

    async def _http(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str
    ) -> bool:
        loop = asyncio.get_running_loop()
        name = source_of(path)
        source = self.sources.setdefault(name, Served())
        source.asked(loop.time())
        self.strangers += path.startswith("/elsewhere")
        answer = self._drawn(name, source, path, loop.time())
        keep = await _written(writer, reader, answer)
        source.answered(answer.kind, loop.time())
        return keep

    def _drawn(self, name: str, source: Served, path: str, now_s: float) -> Hostile:
        if name in self.good:
            return good(path)
        random = self._random
        if now_s >= source.spell_ends_s:
            kinds = [Kind.ODD, Kind.ODD, Kind.ODD, Kind.DEAD, Kind.GOOD]
            source.spell = random.choice(kinds)
            source.spell_ends_s = now_s + random.uniform(*_SPELL_S)
        match source.spell:
            case Kind.GOOD:
                return good(path)
            case Kind.DEAD:
                return dead(random, path)
            case Kind.ODD:
                return good(path) if random.random() < 0.2 else odd(random, path)

    async def _push(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, key: str
    ) -> None:
        """Take the handshake, mostly, and send what no server should."""
        random = self._random
        way = random.randrange(8)
        if way == 0:
            writer.write(self._odd_handshake())
            return
        writer.write(_handshake(key))
        async with asyncio.TaskGroup() as group:
            # What they say is read, or not: a server may well be deaf.
            reading = group.create_task(_read_on(reader, deaf=way == 1))
            with suppress(OSError):
                if await self._send_frames(writer, way):
                    # A client that has had enough of a flood hangs up.
                    await asyncio.wait({reading}, timeout=_FLOOD_READ_S)
            reading.cancel()

    def _odd_handshake(self) -> bytes:
        location = self._random.choice(
            [f"{self.url}/elsewhere", "ws://127.0.0.1:99999999/", "//[", "ws://%ff@a/"]
        )
        return self._random.choice(
            [
                f"HTTP/1.1 302 Found\r\nLocation: {location}\r\n\r\n".encode(),
                b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n",
                b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
                self._random.randbytes(100),
            ]
        )

    async def _send_frames(self, writer: asyncio.StreamWriter, way: int) -> bool:
        """Send odd frames, and a flood after them in some ways; tell whether it was sent."""
        random = self._random
        flood = {
            2: ws_frame(b"", TEXT, fin=False)
            + ws_frame(b"", CONTINUATION, fin=False) * 200_000,
            3: ws_frame(b"", PING) * 200_000,
            4: ws_frame(bytes(1_000_000)) * 4,
            5: b"\xc1\x7e\xff\xff" + random.randbytes(65_535),
        }.get(way)
        for _ in range(random.randint(1, 60)):
            if writer.transport.is_closing():
                return False
            frames = map(ws_frame, push_frames(random, USER))
            writer.write(b"".join(frames))
            await writer.drain()
            await asyncio.sleep(random.choice([0.01, 0.2, 1.0]))
        if flood is None:
            return False
        writer.write(flood)
        await writer.drain()
        return True


def _handshake(key: str) -> bytes:
    token = hashlib.sha1(key.encode() + _WEBSOCKET).digest()  # noqa: S324 - RFC 6455
    accept = base64.b64encode(token).decode()
    return (
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
        f"Connection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    ).encode()


async def _read_on(reader: asyncio.StreamReader, *, deaf: bool) -> None:
    with suppress(OSError):
        while not deaf and await reader.read(65_536):
            pass


async def _written(
    writer: asyncio.StreamWriter, reader: asyncio.StreamReader, answer: Hostile
) -> bool:
    """Write an answer as it is to be; return whether the connection goes on."""
    content = answer.raw if answer.raw is not None else answer.head() + answer.body
    size = len(content) // answer.pieces + 1
    for at in range(0, len(content), size):
        if writer.transport.is_closing():
            return False
        writer.write(content[at : at + size])
        await writer.drain()
        await asyncio.sleep(answer.pause_s)
    if answer.end is End.STALL:
        await reader.read()
    # A body behind a status that has none would be taken for the next answer.
    bodiless = answer.raw is None and answer.status in _BODILESS
    return answer.end is End.KEEP and not bodiless


@asynccontextmanager
async def serving(seed: int, *, good: frozenset[str]) -> AsyncIterator[Upstreams]:
    """Serve until the block ends."""
    upstreams = Upstreams(seed, good)
    server = await asyncio.start_server(upstreams.serve, "127.0.0.1", 0, limit=2**20)
    upstreams.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield upstreams
    finally:
        server.close()
        await upstreams.close()
        await server.wait_closed()
