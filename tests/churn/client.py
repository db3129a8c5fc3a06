"""A client that comes, goes, changes its mind and sometimes reads nothing, by its dice."""

import asyncio
import itertools
import json
import random
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from tests.churn.view import Asked, Cover, View
from tests.support.raw_ws import CLOSE, TEXT, Heard, RawSocket, frame, open_raw

_RECEIVED_BYTES = 4_096  # small, so that who does not read is soon behind


class Beat:
    """Counts rounds; whoever waits for some is woken."""

    def __init__(self) -> None:
        self.count, self.is_over = 0, False
        self._rung = asyncio.Event()

    def ring(self) -> None:
        self.count += 1
        rung, self._rung = self._rung, asyncio.Event()
        rung.set()

    def end(self) -> None:
        self.is_over = True
        self.ring()

    async def after(self, rounds: int) -> None:
        """Wait for some rounds, or for the end."""
        target = self.count + rounds
        while self.count < target and not self.is_over:
            await self._rung.wait()


@dataclass
class Client:
    """One client; ``features`` are none for one of the base protocol."""

    name: str
    port: int
    party: str
    choices: list[str]
    features: tuple[str, ...]
    dice: random.Random
    view: View
    done: "dict[str, int]" = field(default_factory=dict)
    _connection: RawSocket | None = None
    _welcome: bool = False
    _pong: int = 0
    _marks: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    @property
    def resumes(self) -> bool:
        return "resume" in self.features

    @property
    def connection(self) -> RawSocket:
        assert self._connection is not None
        return self._connection

    async def live(self, beat: Beat, *, limit_s: float) -> None:
        """Do this and that until all is over, then hear the rest."""
        try:
            await self._live(beat, limit_s)
        finally:
            if self._connection is not None:
                self._connection.transport.abort()

    async def _live(self, beat: Beat, limit_s: float) -> None:
        await self.connect()
        while not beat.is_over:
            await self._act(beat)
        self.connection.transport.resume_reading()
        if self.connection.ended:
            await self.connect()
        await self.settle()
        with suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                await self._hear_the_rest()
        self.view.flaws += self.view.lacks(told=self.resumes)

    async def _hear_the_rest(self) -> None:
        """Wait for what is still on its way: a PONG goes before changes that wait."""
        while self.view.lacks(told=self.resumes) and not self.connection.ended:
            await self.connection.wait()

    async def _act(self, beat: Beat) -> None:
        if self.connection.ended:
            await self.connect()
        acts = (
            self._subscribe,
            self._unsubscribe,
            self._stall,
            self._leave,
            self._wait,
        )
        (act,) = self.dice.choices(acts, (4, 2, 2, 1, 4))
        name = act.__name__.strip("_")
        self.done[name] = self.done.get(name, 0) + 1
        await act(beat)

    async def settle(self) -> None:
        """Hear all that is handled up to now, however often it takes to stay connected."""
        while True:
            mark = self._ask(self.view.wanted)
            while self._pong < mark and not self.connection.ended:
                await self.connection.wait()
            if self._pong >= mark:
                return
            await self.connect()

    # ---- what it does

    async def connect(self) -> None:
        """Connect and ask again for what was wanted before, since the cursor if there is one."""
        wanted, view = self.view.wanted, self.view
        view.connects(resumes=self.resumes)
        self._welcome = not self.features
        connection = await open_raw(
            self.port, f"/{self.party}", received_bytes=_RECEIVED_BYTES
        )
        self._connection = connection
        connection.sink = self._hear
        if self.features:
            self._say("HELLO", features=self.features)
        # Prices come unasked, to those who have said nothing yet.
        self._ask(Cover(), Cover(everything=True))
        while connection.inbox:
            self._hear(connection.inbox.popleft())
        self._again(wanted, view.known_cover if self.resumes else Cover())

    def _again(self, wanted: Cover, known: Cover) -> None:
        if wanted.everything:
            self._subscribe_to(frozenset(), known.everything)
        names = wanted.names & (wanted.names if known.everything else known.names)
        for some, since in ((names, True), (wanted.names - names, False)):
            if some:
                self._subscribe_to(some, since)

    async def _subscribe(self, beat: Beat) -> None:
        count = self.dice.randint(0, 3)
        self._subscribe_to(frozenset(self.dice.sample(self.choices, count)), False)

    def _subscribe_to(self, names: frozenset[str], since: bool) -> None:
        before, view = self.view.wanted, self.view
        cover = Cover(before.everything or not names, before.names | names)
        fields: dict[str, Any] = {self._field: sorted(names)}
        floor = None
        if since and view.cursor is not None:
            fields["since"] = view.cursor
            known = view.known_cover
            floor = {k: state for k, state in view.known.items() if known.has(k)}
        self._say("SUBSCRIBE", **fields)
        self._ask(cover, repeats=True, floor=floor)

    async def _unsubscribe(self, beat: Beat) -> None:
        before = self.view.wanted
        named = sorted(before.names)
        names = frozenset(self.dice.sample(named, min(len(named), 1)))
        if names and self.dice.random() < 0.8:
            cover = Cover(before.everything, before.names - names)
            self.view.drops(names)
        else:
            names, cover = frozenset(), Cover()
            self.view.drops(None)
        self._say("UNSUBSCRIBE", **{self._field: sorted(names)})
        self._ask(cover, forgets=True)

    async def _stall(self, beat: Beat) -> None:
        """Read nothing for some rounds."""
        self.connection.transport.pause_reading()
        await beat.after(self.dice.randint(1, 40))
        if not self.connection.ended:
            self.connection.transport.resume_reading()

    async def _leave(self, beat: Beat) -> None:
        """Be cut off, or take leave; what is still on its way is lost."""
        connection = self.connection
        connection.sink = lambda heard: None
        if self.dice.random() < 0.5:
            connection.send(frame(CLOSE, b"\x03\xe8"))
        connection.transport.abort()
        if self.dice.random() < 0.5:
            await beat.after(self.dice.randint(1, 10))
        await self.connect()

    async def _wait(self, beat: Beat) -> None:
        await beat.after(self.dice.randint(1, 5))

    @property
    def _field(self) -> str:
        return "contractIds" if self.party == "prices" else "userIds"

    def _say(self, kind: str, **fields: Any) -> None:
        self.connection.send(frame(TEXT, json.dumps({"type": kind, **fields}).encode()))

    def _ask(
        self,
        *covers: Cover,
        repeats: bool = False,
        floor: dict[Any, int] | None = None,
        forgets: bool = False,
    ) -> int:
        """Have a PONG tell when what was said last has been handled."""
        mark = next(self._marks)
        for cover in reversed(covers):
            repeats |= len(covers) > 1
            self.view.asks(Asked(mark, cover, repeats, floor, forgets))
        self._say("PING", timestamp=mark)
        return mark

    # ---- what it hears

    def _hear(self, heard: Heard) -> None:
        if heard.opcode != TEXT:
            return
        message: dict[str, Any] = json.loads(heard.payload)
        kind = message["type"]
        if kind == "WELCOME":
            self._welcome = True
        elif self._welcome:
            self._take(kind, message)

    def _take(self, kind: str, message: dict[str, Any]) -> None:
        self.view.take(message)
        if kind == "PONG":
            self._pong = message["timestamp"]
            self.view.pong(self._pong)
        elif kind == "SUBSCRIBED" and not message.get("recovered", True):
            self.view.flaws.append(f"not recovered: {message}")
        elif kind == "ERROR":
            self.view.flaws.append(f"{message}")
