"""Clients of every kind, which keep themselves connected and what they were told.

Each follows docs/edge.md and no more: it takes what it is sent, goes on from its cursor, and
forgets what it had when it is told to. It never looks at the table to compare.
"""

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import urlencode

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from schemas.wire import PARTIES
from stacks_feed_client import Feed, Options
from stacks_feed_client import connect as open_feed
from tests.restored.table import (
    Key,
    Message,
    Table,
    key_in,
    of_library,
    read_json,
    rows_in,
)
from tests.support.event_stream import streaming_from

_RETRY_S = 0.3
_ANSWER_S = 20.0
# Trouble between a client and its edge; whoever meets it comes back.
_TROUBLE = (
    OSError,
    EOFError,
    TimeoutError,
    asyncio.LimitOverrunError,
    httpx.HTTPError,
    WebSocketException,
)


class Answered(NamedTuple):
    """How a client was answered when it came back with a cursor or a tag.

    ``recovered`` false means that it was sent everything and forgot what it had.
    """

    recovered: bool
    why: str | None = None


@dataclass
class Client(ABC):
    """A client of one party at one port. ``answers`` has one entry for each return."""

    kind: str
    party: str
    port: int
    users: Sequence[str]
    answers: list[Answered] = field(default_factory=list)
    flaws: list[str] = field(default_factory=list)
    _held: Table = field(default_factory=dict)

    @property
    def held(self) -> Table:
        """What the client would show now."""
        return self._held

    def part_of(self, table: Table) -> Table:
        """Return the part of a table that is of this client's party."""
        is_balances = self.party == "balances"
        return {k: v for k, v in table.items() if bool(k.user_id) is is_balances}

    async def live(self) -> None:
        """Connect, and connect again whenever the connection ends, for ever."""
        while True:
            with suppress(*_TROUBLE):
                await self.connection()
            await asyncio.sleep(_RETRY_S)

    @abstractmethod
    async def connection(self) -> None:
        """Follow the edge until the connection ends."""

    def path(self, **query: str) -> str:
        named = {} if self.party == "prices" else {"users": ",".join(self.users)}
        asked = urlencode({**named, **query})
        return f"/{self.party}?{asked}" if asked else f"/{self.party}"

    def take_answer(self, message: Message) -> None:
        """Note how a return was answered; forget everything where that is said."""
        recovered = message["recovered"]
        self.answers.append(Answered(recovered, message.get("why")))
        if not recovered:
            self.forget()

    def forget(self) -> None:
        self._held.clear()

    def take_rows(self, message: Message) -> None:
        for key, value, _ in rows_in(message):
            self._held[key] = value


@dataclass
class Socket(Client):
    """A bare WebSocket; ``resumes`` makes it keep a cursor and versions."""

    resumes: bool = True
    _cursor: str | None = None
    _versions: dict[Key, int] = field(default_factory=dict)

    async def connection(self) -> None:
        url = f"ws://127.0.0.1:{self.port}/{self.party}"
        async with connect(url, open_timeout=_ANSWER_S) as connection:
            await self._begin(connection)
            async for text in connection:
                self._take(read_json(text))

    async def _begin(self, connection: ClientConnection) -> None:
        named = [] if self.party == "prices" else list(self.users)
        ids = {"contractIds": []} if self.party == "prices" else {"userIds": named}
        asked: Message = {"type": "SUBSCRIBE", **ids}
        if self.resumes:
            hello = {"type": "HELLO", "features": ["ack", "resume"]}
            await connection.send(json.dumps(hello))
        if self._cursor is None:
            self.forget()
        else:
            asked["since"] = self._cursor
        await connection.send(json.dumps(asked))

    def _take(self, message: Message) -> None:
        match message["type"]:
            case "SUBSCRIBED" if "recovered" in message:
                self.take_answer(message)
            case "REMOVED":
                self._held.pop(key_in(message), None)
                self._versions.pop(key_in(message), None)
            case "ERROR":
                self.flaws.append(f"{message}")
            case _:
                self.take_rows(message)
        self._cursor = message.get("cursor", self._cursor)

    def forget(self) -> None:
        super().forget()
        self._cursor = None
        self._versions.clear()

    def take_rows(self, message: Message) -> None:
        """Keep of each key the value with the highest version."""
        for key, value, version in rows_in(message):
            if not self.resumes or version >= self._versions.get(key, 0):
                self._held[key] = value
                self._versions[key] = version


@dataclass
class Events(Client):
    """A reader of server-sent events, as an ``EventSource`` is."""

    _last_id: str | None = None

    async def connection(self) -> None:
        headers = {"Last-Event-ID": self._last_id} if self._last_id else {}
        if not headers:
            self.forget()
        async with streaming_from(self.port, self.path(), headers=headers) as stream:
            while True:
                block = await stream.block()
                if block.data is not None:
                    self._take(block.data)
                self._last_id = block.id or self._last_id

    def _take(self, message: Message) -> None:
        match message["type"]:
            case "SUBSCRIBED" if "recovered" in message:
                self.take_answer(message)
            case "REMOVED":
                self._held.pop(key_in(message), None)
            case _:
                self.take_rows(message)

    def forget(self) -> None:
        super().forget()
        self._last_id = None


@dataclass
class Poller(Client):
    """Asks for what changed since its cursor, again and again."""

    every_s: float = 1.0
    _cursor: str | None = None

    async def connection(self) -> None:
        base = f"http://127.0.0.1:{self.port}"
        async with httpx.AsyncClient(base_url=base, timeout=_ANSWER_S) as http:
            while True:
                await self._poll(http)
                await asyncio.sleep(self.every_s)

    async def _poll(self, http: httpx.AsyncClient) -> None:
        if self._cursor is None:
            answer = (await http.get(self.path())).raise_for_status()
            self.forget()
            self._cursor = answer.headers["Feed-Cursor"]
            self.take_rows(read_json(answer.content))
            return
        asked = self.path(since=self._cursor)
        answer = (await http.get(asked)).raise_for_status()
        body = read_json(answer.content)
        self.take_answer(body)
        for row in body["removed"]:
            self._held.pop(key_in(row), None)
        self.take_rows(body)
        self._cursor = body["cursor"]


@dataclass
class TagPoller(Client):
    """Asks for everything again and again, but for what its tag says it has."""

    every_s: float = 1.0
    _tag: str | None = None

    async def connection(self) -> None:
        base = f"http://127.0.0.1:{self.port}"
        async with httpx.AsyncClient(base_url=base, timeout=_ANSWER_S) as http:
            while True:
                await self._poll(http)
                await asyncio.sleep(self.every_s)

    async def _poll(self, http: httpx.AsyncClient) -> None:
        headers = {"If-None-Match": self._tag} if self._tag else {}
        answer = await http.get(self.path(), headers=headers)
        unchanged = answer.status_code == httpx.codes.NOT_MODIFIED
        if self._tag:
            self.answers.append(Answered(recovered=unchanged))
        if unchanged:
            return
        answer.raise_for_status()
        self.forget()
        self.take_rows(read_json(answer.content))
        self._tag = answer.headers["ETag"]


@dataclass
class Library(Client):
    """A program that uses ``stacks_feed_client`` and looks at its view."""

    _view: Mapping[Any, Any] = field(default_factory=dict)

    @property
    def held(self) -> Table:
        return of_library(self._view)

    async def connection(self) -> None:
        url = f"ws://127.0.0.1:{self.port}"
        # A third of the usual waits, so that the client is back soon.
        options = Options(draw=lambda: 0.3)
        if self.party == "prices":
            async with open_feed(url, options=options) as prices:
                prices.subscribe()
                await self._follow(prices)
        else:
            async with open_feed(url, party="balances", options=options) as balances:
                balances.subscribe(*self.users)
                await self._follow(balances)

    async def _follow(self, feed: Feed[Any, Any]) -> None:
        self._view = feed.view
        async with aclosing(feed.statuses()) as statuses:
            async for status in statuses:
                if status.recovered is not None:
                    self.answers.append(Answered(status.recovered, status.why))


def clients_of(port: int, users: Sequence[str], *, poll_s: float) -> list[Client]:
    """Return one client of each kind for each party."""
    found: list[Client] = []
    for party in PARTIES:
        found += [
            Socket("websocket", party, port, users),
            Socket("base websocket", party, port, users, resumes=False),
            Events("events", party, port, users),
            Poller("since", party, port, users, every_s=poll_s),
            TagPoller("etag", party, port, users, every_s=poll_s),
            Library("library", party, port, users),
        ]
    return found
