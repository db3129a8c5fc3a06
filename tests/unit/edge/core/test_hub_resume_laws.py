"""Whatever a client goes through on whatever edges: in the end it has the table."""

import itertools
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.core.cursor import Refusal, parse_cursor
from edge.core.derived import decimals_of, price_of
from edge.core.forms import EVENTS
from edge.core.hub import ClientId, Effects, Write
from edge.core.session import Subscribe
from edge.core.table import Table
from schemas.ids import STX, ContractId
from schemas.wire import Party
from tests.support.edge_table import (
    ANNE,
    CHA,
    CHA_SUBNET,
    WELSH,
    balance,
    heard,
    price,
    token,
)
from tests.support.edge_worlds import HOUR_MS, TOKENS, USERS, Edge, Log, subnet
from tests.support.event_stream import block_of

Key: TypeAlias = tuple[str, ...]
Step: TypeAlias = tuple[Any, ...]

_numbers = itertools.count(1)


@dataclass
class Follower:
    """A client that folds what it hears and resumes with the last cursor it was given."""

    party: Party
    ids: tuple[str, ...] | None
    features: tuple[str, ...]
    view: dict[Key, tuple[int, Any]] = field(default_factory=dict)
    cursor: str | None = None
    edge: Edge | None = None
    id: ClientId = field(default_factory=lambda: ClientId(0))
    seq: int = 0
    # The last version of each key on this connection.
    told: dict[Key, int] = field(default_factory=dict)
    frames: Iterator[bytes] = field(default_factory=lambda: iter(()))

    def connect(self, edge: Edge, catch_up: Callable[[], None] | None = None) -> None:
        """Say ``HELLO`` and ask for everything since the cursor.

        Where the edge must read on for that it does, if it is told how.
        """
        self.leave()
        self.edge, self.id, self.seq = edge, ClientId(next(_numbers)), 0
        self.told = {}
        list(edge.hub.connect(self.id, self.party, now_ms=edge.log.now_ms).frames)
        # What came before WELCOME has no versions and is not looked at.
        self._say({"type": "HELLO", "features": self.features})
        name = "contractIds" if self.party == "prices" else "userIds"
        said: dict[str, Any] = {"type": "SUBSCRIBE", name: self.ids}
        effects = self._say(said | ({"since": self.cursor} if self.cursor else {}))
        if effects.waiting is not None:
            if catch_up is not None:
                catch_up()
                assert edge.hub.has_reached(effects.waiting)
            effects = edge.hub.resume(self.id, effects.waiting, now_ms=edge.log.now_ms)
        self.frames = effects.frames

    def leave(self) -> None:
        if self.edge is not None:
            self.edge.hub.disconnect(self.id)
        self.edge, self.frames = None, iter(())

    def pull(self) -> bool:
        """Take the next write that waits; tell whether any may be left."""
        if self.edge is None:
            return False
        frames = next(self.frames, b"")
        self.take(frames or self.edge.hub.pull(self.id, now_ms=self.edge.log.now_ms))
        return bool(frames) or self.edge.hub.is_behind(self.id)

    def drain(self) -> None:
        """Take all that waits."""
        while self.pull():
            pass

    def hear(self, writes: Iterable[Write]) -> None:
        for write in writes:
            if self.id in write.clients:
                self.take(write.frames)

    def take(self, frames: bytes) -> None:
        said = heard([frames])
        assert not any("cursor" in each for each in said[:-1]), "not the last"
        for message in said:
            self._take(message)
            self._keep(message.get("cursor"))

    def _keep(self, cursor: str | None) -> None:
        if cursor is not None:
            assert self.edge is not None
            assert not self.edge.hub.is_behind(self.id), "something waits"
            self.cursor = cursor

    def _say(self, said: dict[str, Any]) -> Effects:
        assert self.edge is not None
        text = orjson.dumps(said).decode()
        effects = self.edge.hub.receive(self.id, text, now_ms=self.edge.log.now_ms)
        if said["type"] == "HELLO":
            (welcome,) = heard(effects.frames)
            assert welcome["features"] == list(self.features)
        return effects

    def _take(self, message: dict[str, Any]) -> None:
        if "seq" in self.features:
            self.seq += 1
            assert message["seq"] == self.seq
        match message["type"]:
            case "SUBSCRIBED":
                if message.get("recovered") is False:
                    # What the cursor stood for is gone as well.
                    self.view, self.cursor = {}, None
            case "REMOVED":
                self.view.pop(_key(message), None)
                self.told.pop(_key(message), None)
            case _:
                for update in message.get(self.party, [message]):
                    self._update(update)

    def _update(self, update: dict[str, Any]) -> None:
        key, version = _key(update), update["version"]
        assert self.ids is None or key[0] in self.ids, "not asked for"
        value = float(update["price" if self.party == "prices" else "balance"])
        # What is published of a key is the number of its version.
        assert value == version, "never true"
        assert version > self.told.get(key, -1), "older, or twice"
        self.told[key] = version
        held = self.view.get(key)
        if held is None or version > held[0]:
            self.view[key] = version, value


def _key(message: dict[str, Any]) -> Key:
    user = message.get("userId")
    return (user, message["contractId"]) if user else (message["contractId"],)


@dataclass
class Reader(Follower):
    """A client that reads events; what it hears has no versions, so the last word counts."""

    def connect(self, edge: Edge, catch_up: Callable[[], None] | None = None) -> None:
        """Come back with the last ``id``."""
        self.leave()
        self.edge, self.id, self.told = edge, ClientId(next(_numbers)), {}
        hub, now_ms = edge.hub, edge.log.now_ms
        list(hub.connect(self.id, self.party, form=EVENTS, now_ms=now_ms).frames)
        said = Subscribe(self.ids, since=self.cursor)
        effects = hub.handle(self.id, said, now_ms=now_ms)
        if effects.waiting is not None:
            if catch_up is not None:
                catch_up()
            effects = hub.resume(self.id, effects.waiting, now_ms=edge.log.now_ms)
        self.frames = effects.frames

    def take(self, frames: bytes) -> None:
        blocks = [block_of(text) for text in frames.decode().split("\n\n") if text]
        assert not any(each.id for each in blocks[:-1]), "not the last"
        for block in blocks:
            assert block.data is not None
            self._take(block.data)
            self._keep(block.id)

    def _update(self, update: dict[str, Any]) -> None:
        value = update["price" if self.party == "prices" else "balance"]
        self.view.pop(_key(update), None)
        super()._update(update | {"version": int(value)})


@dataclass
class Poller(Reader):
    """A client that asks again and again what changed."""

    def connect(self, edge: Edge, catch_up: Callable[[], None] | None = None) -> None:
        """Ask once."""
        bodies, now_ms = edge.hub.bodies, edge.log.now_ms
        self.told = {}
        asked = bodies.asked(self.party, self.ids)
        cursor = parse_cursor(self.cursor or "")
        if cursor is None:
            self.view, self.cursor = {}, edge.hub.cursor()
            self._take(json.loads(bodies.body(asked, now_ms=now_ms).json))
            return
        why = edge.hub.refusal(cursor, now_ms=now_ms)
        if why is Refusal.AHEAD and catch_up is not None:
            catch_up()
            why = edge.hub.refusal(cursor, now_ms=now_ms)
        said = json.loads(bodies.since(asked, cursor, why, now_ms=now_ms).json)
        assert said["recovered"] is (why is None)
        if why is not None:
            self.view = {}
        for each in said["removed"]:
            self._take(each)
        self._take(said)
        self.cursor = said["cursor"]

    def _take(self, message: dict[str, Any]) -> None:
        super()._take({"type": "body", **message})


ORDINARY = ("resume",)
ALL = ("ack", "seq", "resume", "exact")


class World:
    """A log, two edges, and clients that go from one to the other."""

    def __init__(self) -> None:
        self.log = Log()
        self.edges = [Edge(self.log), Edge(self.log)]
        self.clients = [
            Follower("prices", None, ORDINARY),
            Follower("prices", (CHA_SUBNET, "stx", WELSH), ALL),
            Follower("balances", (ANNE,), ORDINARY),
            Follower("balances", None, ALL),
            Reader("prices", (CHA_SUBNET, "stx", WELSH), ()),
            Reader("balances", None, ()),
            Poller("prices", None, ()),
            Poller("balances", (ANNE,), ()),
        ]
        for contract in (CHA, WELSH, STX):
            self.log.price(contract)
        for user, contract in itertools.product(USERS, (CHA, WELSH)):
            self.log.balance(user, contract)
        self.log.put(subnet(CHA))
        self.log.tick()
        for number, client in enumerate(self.clients):
            self.edges[0].read_all()
            client.connect(self.edges[0])
            client.drain()
            assert client.cursor is not None, number

    def do(self, step: Step) -> None:
        match step:
            case "publish", change:
                self.publish(change)
            case "wait", hours:
                self.log.now_ms += hours * HOUR_MS
                self.log.tick()
            case "connect", number, edge, patient:
                catch_up = partial(self.read_all, edge) if patient else None
                self.clients[number].connect(self.edges[edge], catch_up)
            case "read" | "read all" | "read again" | "restart", edge, *much:
                self._at_edge(step[0], edge, *much)
            case _:
                self._by_client(step[0], self.clients[step[1]])

    def _at_edge(self, name: str, edge: int, part: int = 0, count: int = 0) -> None:
        if name == "read":
            self.hear(self.edges[edge], self.edges[edge].read(part, count))
        elif name == "read all":
            self.read_all(edge)
        elif name == "read again":
            self.hear(self.edges[edge], self.edges[edge].read_again())
        else:
            for client in self.clients:
                if client.edge is self.edges[edge]:
                    client.leave()
            self.edges[edge] = Edge(self.log)

    def _by_client(self, name: str, client: Follower) -> None:
        if name == "leave":
            client.leave()
        elif name == "pull":
            client.pull()
        elif name == "drain":
            client.drain()
        elif client.edge is not None:
            client.edge.hub.hold(client.id)

    def read_all(self, edge: int) -> None:
        self.hear(self.edges[edge], self.edges[edge].read_all())

    def hear(self, edge: Edge, writes: list[Write]) -> None:
        for client in self.clients:
            if client.edge is edge:
                client.hear(writes)

    def publish(self, change: Step) -> None:
        log = self.log
        match change:
            case "price", contract:
                log.price(contract)
            case "no price", contract:
                log.withdraw(price(contract, "1"))
            case "balance", user, contract:
                log.balance(user, contract)
            case "forgotten", user, contract:
                log.withdraw(balance(user, contract, 0))
            case "subnet", base:
                log.put(subnet(base))
            case "no subnet", _:
                log.withdraw(subnet(CHA))
            case _:
                log.put(token(STX, decimals=0))

    def settle(self) -> None:
        """Let every edge read everything and every client hear everything."""
        self.log.tick()
        for edge in range(len(self.edges)):
            self.read_all(edge)
        for client in self.clients:
            if client.edge is None:
                client.connect(self.edges[0])
            client.drain()


def expected(client: Follower, table: Table) -> dict[Key, float]:
    if client.party == "prices":
        ids = client.ids or (CHA, WELSH, CHA_SUBNET, STX, "stx")
        prices = {
            each: price_of(STX if each == "stx" else ContractId(each), table)
            for each in ids
        }
        return {(each,): float(now.usd) for each, now in prices.items() if now}
    return {
        (user, contract): float(value.mainnet.balance if value.mainnet else 0)
        for user, held in table.balances.items()
        for contract, value in held.items()
        if user in (client.ids or USERS) and decimals_of(contract, table) is not None
    }


contracts, edges = st.sampled_from(TOKENS), st.integers(0, 1)
numbers = st.integers(0, 7)
changes = st.one_of(
    st.tuples(st.sampled_from(["price", "price", "no price"]), contracts),
    st.tuples(st.just("price"), st.just(CHA_SUBNET)),
    st.tuples(
        st.sampled_from(["balance", "balance", "forgotten"]),
        st.sampled_from(USERS),
        contracts,
    ),
    st.tuples(st.sampled_from(["subnet", "no subnet"]), contracts),
    st.just(("decimals",)),
)
published = st.tuples(st.just("publish"), changes)
read_all = st.tuples(st.just("read all"), edges)
connect = st.tuples(st.just("connect"), numbers, edges, st.booleans())
steps = st.one_of(
    published,
    published,
    published,
    read_all,
    st.tuples(st.just("read"), edges, edges, st.integers(1, 4)),
    st.tuples(st.sampled_from(["restart", "read again"]), edges),
    st.tuples(st.just("wait"), st.integers(1, 30)),
    connect,
    connect,
    st.tuples(st.sampled_from(["leave", "hold", "pull", "pull", "drain"]), numbers),
)


@settings(max_examples=300)
@given(st.lists(steps, max_size=40))
def test_who_resumes_ends_with_the_table(taken: list[Step]) -> None:
    world = World()
    for step in taken:
        world.do(step)
    world.settle()
    table = world.log.table()
    for client in world.clients:
        view = {key: value for key, (version, value) in client.view.items() if version}
        assert view == expected(client, table)
