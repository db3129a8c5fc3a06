"""Whatever happens in whatever order, each client sees what the table says."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from hypothesis import given
from hypothesis import strategies as st

from edge.core.derived import decimals_of, price_of
from edge.core.hub import ClientId, Hub, Rules
from edge.core.places import Place
from edge.core.table import Table
from schemas.ids import STX, ContractId
from schemas.wire import Party
from tests.support.edge_table import (
    ANNE,
    BOB,
    CHA,
    CHA_SUBNET,
    NOW_MS,
    WELSH,
    Record,
    balance,
    gone,
    heard,
    price,
    token,
)

Key: TypeAlias = tuple[str, ...]
Ids: TypeAlias = tuple[str, ...] | None
Step: TypeAlias = tuple[Any, ...]

# So long that two entries make a message: a snapshot takes several pulls.
LONG = {"description": "d" * 8_000, "image": "i" * 8_000, "identifier": "t" * 8_000}
USERS, TOKENS = (ANNE, BOB), (CHA, WELSH, STX)
SPELLINGS = (CHA, WELSH, CHA_SUBNET, STX, "stx")
PARTIES: dict[ClientId, Party] = {
    ClientId(1): "prices",
    ClientId(2): "prices",
    ClientId(3): "balances",
    ClientId(4): "balances",
}


@dataclass
class Watcher:
    """A client that knows what it asked for and complains of anything else."""

    party: Party
    has_all: bool = False
    named: set[str] = field(default_factory=set)
    seen: dict[Key, float] = field(default_factory=dict)
    frames: Iterator[bytes] = field(default_factory=lambda: iter(()))

    def subscribed(self, key: Key) -> bool:
        return self.has_all or key[0] in self.named

    def pull(self) -> bool:
        """Read what one pull of an answer gives; tell whether it was anything."""
        frames = next(self.frames, b"")
        self.hear(frames)
        return bool(frames)

    def begin(self, ids: Ids) -> None:
        """From now on each version comes once, whatever was seen before."""
        if ids is None:
            self.has_all = True
            self.seen.clear()
            return
        self.named |= set(ids)
        for key in [key for key in self.seen if key[0] in ids]:
            del self.seen[key]

    def hear(self, frames: bytes) -> None:
        for message in heard([frames]):
            for each in message.get(self.party, [message]):
                self._take(each)

    def _take(self, update: dict[str, Any]) -> None:
        if self.party == "prices":
            key: Key = (update["contractId"],)
            value: float = update["price"]
            # A subnet token's price may fall back to that of another base.
            newer = key == (CHA_SUBNET,) or value > self.seen.get(key, -1)
        else:
            key, value = (update["userId"], update["contractId"]), update["balance"]
            newer = value > self.seen.get(key, -1)
        assert self.subscribed(key), "not asked for"
        assert newer, "stale or repeated"
        self.seen[key] = value


class World:
    """A hub, the same records in a table of its own, and the clients."""

    def __init__(self) -> None:
        # So small that what several keys changed is more than one write.
        self.hub, self.table = Hub(Rules(piece_bytes=1_000)), Table()
        self.watchers = {client: Watcher(party) for client, party in PARTIES.items()}
        self._versions: Counter[Key] = Counter()
        for client, party in PARTIES.items():
            list(self.hub.connect(client, party, now_ms=NOW_MS).frames)
        self.put([token(CHA, decimals=0, **LONG), token(WELSH, decimals=0, **LONG)])

    def put(self, records: list[Record]) -> None:
        for key, value in records:
            self.table.apply(key, value, Place(0, 0, 0))
        got: Counter[tuple[Party, ClientId]] = Counter()
        for write in self.hub.apply(records, now_ms=NOW_MS):
            assert write.frames
            for client in write.clients:
                got[PARTIES[client], client] += 1
                self.watchers[client].hear(write.frames)
        assert all(writes == 1 for writes in got.values()), "two writes for one client"

    def record(self, change: Step) -> Record:
        match change:
            case "price", contract:
                return price(contract, f"{self._next('price', contract)}")
            case "balance", user, contract:
                at = self._next(user, contract)
                return balance(user, contract, at, version=at)
            case "withdrawn", user, contract:
                return gone(balance(user, contract, 0))
            case "subnet", base:
                return token(CHA_SUBNET, type="SUBNET", base=base)
            case _:
                return token(STX, decimals=6)

    def _next(self, *key: str) -> int:
        self._versions[key] += 1
        return self._versions[key]

    def say(self, client: ClientId, kind: str, ids: Ids) -> None:
        """Say something once the answer to what was said before has been read."""
        watcher = self.watchers[client]
        while watcher.pull():
            pass
        name = "contractIds" if watcher.party == "prices" else "userIds"
        listed = ",".join(f'"{each}"' for each in ids or ())
        text = f'{{"type":"{kind}","{name}":[{listed}]}}'
        watcher.frames = self.hub.receive(client, text, now_ms=NOW_MS).frames
        if kind == "SUBSCRIBE":
            watcher.begin(ids)
        elif ids is None:
            watcher.has_all, watcher.named = False, set()
        else:
            stx = {STX, "stx"} if {STX, "stx"} & set(ids) else set()
            watcher.named -= {*ids, *stx}

    def settle(self) -> None:
        for client, watcher in self.watchers.items():
            while watcher.pull():
                pass
            while self.hub.is_behind(client):
                self.drain(client)

    def drain(self, client: ClientId) -> None:
        """Take what waits for a client, as its socket would."""
        self.watchers[client].hear(self.hub.pull(client, now_ms=NOW_MS))

    def expected(self, watcher: Watcher) -> dict[Key, float]:
        """Return what a client must see of what it asked for."""
        if watcher.party == "prices":
            found: dict[Key, float] = {}
            for each in SPELLINGS:
                now = price_of(STX if each == "stx" else ContractId(each), self.table)
                if now is not None:
                    found[each,] = float(now.usd)
        else:
            found = {
                (user, contract): int(value.mainnet.balance if value.mainnet else 0)
                for user, held in self.table.balances.items()
                for contract, value in held.items()
                if decimals_of(contract, self.table) is not None
            }
        return {key: value for key, value in found.items() if watcher.subscribed(key)}


clients = st.sampled_from(list(PARTIES))
users, contracts = st.sampled_from(USERS), st.sampled_from(TOKENS)
changes = st.one_of(
    st.tuples(st.just("price"), contracts),
    st.tuples(st.just("balance"), users, contracts),
    st.tuples(st.just("balance"), users, contracts),
    st.tuples(st.just("withdrawn"), users, contracts),
    st.tuples(st.just("subnet"), contracts),
    st.just(("decimals",)),
)


def said_by(client: ClientId) -> st.SearchStrategy[Step]:
    known = SPELLINGS if PARTIES[client] == "prices" else USERS
    ids = st.lists(st.sampled_from(known), min_size=1, max_size=3).map(tuple)
    kinds = st.sampled_from(["SUBSCRIBE", "SUBSCRIBE", "UNSUBSCRIBE"])
    return st.tuples(st.just("say"), st.just(client), kinds, st.none() | ids)


steps = st.one_of(
    st.tuples(st.just("put"), st.lists(changes, min_size=1, max_size=4)),
    clients.flatmap(said_by),
    st.tuples(st.sampled_from(["pull", "hold", "drain"]), clients),
)


@given(st.lists(steps, max_size=40))
def test_each_client_sees_the_table_and_nothing_it_did_not_ask_for(
    taken: list[Step],
) -> None:
    world = World()
    for step in taken:
        match step:
            case "put", changed:
                world.put([world.record(each) for each in changed])
            case "say", client, kind, ids:
                world.say(client, kind, ids)
            case "pull", client:
                world.watchers[client].pull()
            case "hold", client:
                world.hub.hold(client)
            case _:
                world.drain(step[1])
    world.settle()
    for watcher in world.watchers.values():
        expected = world.expected(watcher)
        assert {key: watcher.seen.get(key) for key in expected} == expected
