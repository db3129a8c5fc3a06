"""A client that talks to edges over lines on which every message can be held up or lost."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from edge.core.hub import ClientId, Effects, Write
from stacks_feed_client.core.conversation import Effects as ClientEffects
from stacks_feed_client.core.ids import selects
from stacks_feed_client.core.itinerary import Itinerary
from stacks_feed_client.core.machine import Lost, Machine
from stacks_feed_client.core.pace import Pace
from stacks_feed_client.core.party import BALANCES, PRICES, Party
from stacks_feed_client.core.status import State
from stacks_feed_client.core.values import Balance, Update
from tests.support.edge_table import messages
from tests.support.edge_worlds import Edge

PARTIES: dict[str, Party[Any, Any]] = {"prices": PRICES, "balances": BALANCES}
LOST = Lost("lost")


@dataclass
class Line:
    """A connection: what is on its way in both directions."""

    edge: Edge
    id: ClientId
    to_client: "deque[bytes]" = field(default_factory=deque)
    to_edge: "deque[str]" = field(default_factory=deque)

    def carry(self, frames: bytes) -> None:
        self.to_client.extend(messages(frames))

    def carry_writes(self, writes: Iterable[Write]) -> None:
        for write in writes:
            if self.id in write.clients:
                self.carry(write.frames)
                if write.more:
                    self.edge.hub.hold(self.id)


class Program:
    """A client, and what a program makes of the updates that it gets."""

    def __init__(
        self, party: str, first_id: int = 1, *, pace: Pace | None = None
    ) -> None:
        self.party = PARTIES[party]
        self.machine: Machine[Any, Any] = Machine(
            self.party, Itinerary(["ws://edge"]), pace=pace or Pace(burst=1_000_000)
        )
        self.folded: dict[Any, Any] = {}
        self.line: Line | None = None
        self.now_s = 0.0
        self._id = first_id
        self._versions: dict[Any, int | None] = {}

    # ---- what happens

    def want(self, ids: frozenset[str]) -> None:
        self.machine.want(ids)
        self._do(ClientEffects())

    def connect(self, edge: Edge) -> None:
        self.lose()
        self._id += 1
        self.line = Line(edge, ClientId(self._id))
        greeting = edge.hub.connect(
            self.line.id, self.party.name, now_ms=edge.log.now_ms
        )
        self._answered(greeting)
        self._do(self.machine.opened(now_s=0.0))

    def lose(self) -> None:
        """Lose the connection and all that is on its way."""
        if self.line is not None:
            self.line.edge.hub.disconnect(self.line.id)
            self.line = None
            self.machine.lost(LOST, now_s=0.0, draw=0.0)
            # What was asked for while a message waited for its turn counts from here on.
            self._do(ClientEffects())

    def edge_hears(self) -> None:
        """Let the edge handle the next message of the client."""
        line = self.line
        if line is None or not line.to_edge:
            return
        hub, now_ms = line.edge.hub, line.edge.log.now_ms
        effects = hub.receive(line.id, line.to_edge.popleft(), now_ms=now_ms)
        if effects.waiting is not None:
            line.carry_writes(line.edge.read_all())
            effects = hub.resume(line.id, effects.waiting, now_ms=now_ms)
        self._answered(effects)

    def hears(self, count: int) -> None:
        """Let the client hear the next messages."""
        for _ in range(count):
            if self.line is None or not self.line.to_client:
                return
            said = self.line.to_client.popleft().decode()
            self._do(self.machine.received(said, now_s=0.0))

    def passes(self, seconds: float) -> None:
        """Let time pass, and let the client send what it may by now."""
        self.now_s += seconds
        self._do(ClientEffects())

    def stall(self) -> None:
        """Let the client's socket be full."""
        if self.line is not None:
            self.line.edge.hub.hold(self.line.id)

    def drain(self) -> None:
        """Let the socket take one write."""
        if self.line is not None:
            hub, now_ms = self.line.edge.hub, self.line.edge.log.now_ms
            self.line.carry(hub.pull(self.line.id, now_ms=now_ms))

    def beat(self) -> None:
        """Let the edge send heartbeats."""
        if self.line is not None:
            now_ms = self.line.edge.log.now_ms
            for writes in self.line.edge.hub.heartbeats(
                stale=False, now_ms=now_ms, at_once=10
            ):
                self.line.carry_writes(writes)

    def settle(self) -> None:
        """Let everything that is on its way arrive, until there is nothing more."""
        while (line := self.line) is not None and (
            line.to_edge
            or line.to_client
            or line.edge.hub.is_behind(line.id)
            or self.machine.has_text(now_s=self.now_s)
        ):
            self.passes(self.machine.wait_s(now_s=self.now_s))
            self.edge_hears()
            self.drain()
            self.hears(1_000)

    # ---- what it comes to

    @property
    def is_live(self) -> bool:
        return self.machine.status.state is State.LIVE

    @property
    def is_rebuilt(self) -> bool:
        """Whether values may step back on this connection."""
        return self.machine._talk is not None and self.machine._talk._rebuilt

    @property
    def hears_of_withdrawals(self) -> bool:
        """Whether the server tells: not in the base protocol."""
        return "resume" in self.machine.features

    def held(self) -> dict[Any, Any]:
        """Return what it holds, as far as two clients must agree on it.

        Zeros of tokens that nobody holds are said to those alone who ask. Totals that are
        not known are 0 to some clients.
        """
        values = self.machine.books.view.values
        return {
            key: replace(value.content, total_sent=None, total_received=None)
            if isinstance(value, Balance)
            else value
            for key, value in values.items()
            if not (isinstance(value, Balance) and not value.is_held)
        }

    def _answered(self, effects: Effects) -> None:
        if self.line is not None:
            for frames in effects.frames:
                self.line.carry(frames)

    def _do(self, effects: ClientEffects[Any, Any]) -> None:
        assert effects.leave is None
        if self.line is not None:
            while (text := self.machine.next_text(now_s=self.now_s)) is not None:
                self.line.to_edge.append(text)
        for update in effects.updates:
            self._fold(update)
        wanted = self.machine.books.standing.wanted
        owner = self.party.owner
        for known in (self.folded, self._versions):
            for key in [key for key in known if not selects(wanted, owner(key))]:
                del known[key]
        assert self.folded.keys() == self.machine.books.view.values.keys()

    def _fold(self, update: Update[Any, Any]) -> None:
        if update.value is None:
            del self.folded[update.key]
            self._versions.pop(update.key, None)
            return
        version, before = update.value.version, self._versions.get(update.key)
        if version is not None and before is not None and not self.is_rebuilt:
            assert version > before
        self._versions[update.key] = version
        self.folded[update.key] = update.value
