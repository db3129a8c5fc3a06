"""What crowds are made of: who asks for what, and the records that change it."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from benchmarks.crowd import moment
from benchmarks.market import contracts
from schemas.c32 import encode_address
from schemas.ids import ContractId, UserId
from tests.support import edge_table
from tests.support.edge_table import Record

TOKENS = 600
_PRICES, _BALANCES = "/parties/prices/main", "/parties/balances/main"
Selection = frozenset[ContractId] | None


@dataclass(frozen=True, slots=True)
class Market:
    """Tokens with prices, and clients who want some of them; ``None`` is all."""

    tokens: Sequence[ContractId]
    wanted: Sequence[Selection]

    def table(self) -> list[Record]:
        """Return the records before any change."""
        return [edge_table.price(each, "1") for each in self.tokens]

    def lines(self) -> list[str]:
        """Return each client as the crowd is told."""
        return [_line(_PRICES, contractIds=sorted(each or ())) for each in self.wanted]

    def changes(self, count: int, *, seed: int = 1) -> Iterator[list[ContractId]]:
        """Yield the tokens that change in each batch."""
        draw = Random(seed)
        while True:
            yield draw.sample(self.tokens, count)

    def updates(self, changed: Sequence[ContractId]) -> int:
        """Return how many updates all clients together get of a batch."""
        return sum(
            len(changed) if each is None else len(each.intersection(changed))
            for each in self.wanted
        )


def alike(clients: int, *, tokens: int = TOKENS) -> Market:
    """Return a market of which all clients want all."""
    return Market(contracts(tokens), [None] * clients)


def mixed(clients: int) -> Market:
    """Return one as in life: half want all, a third ten ids each, the rest one."""
    tokens, draw = contracts(TOKENS), Random(1)
    every, some = clients // 2, clients // 3
    wanted: list[Selection] = [None] * every
    wanted += [frozenset(draw.sample(tokens, 10)) for _ in range(some)]
    wanted += [frozenset(draw.sample(tokens, 1)) for _ in range(clients - every - some)]
    return Market(tokens, wanted)


def priced(changed: Sequence[ContractId], *, version: int) -> list[Record]:
    """Return new prices: the moment at which they were made."""
    usd = f"{max(moment(), 1)}"
    return [edge_table.price(each, usd, version=version) for each in changed]


@dataclass(frozen=True, slots=True)
class Accounts:
    """Users with a balance each of one token, each watched by a client of its own."""

    users: Sequence[UserId]
    token: ContractId

    def table(self) -> list[Record]:
        """Return the records before any change."""
        token = edge_table.token(self.token, decimals=0)
        return [token, *self.changed(self.users, version=1)]

    def lines(self) -> list[str]:
        """Return each client as the crowd is told."""
        return [_line(_BALANCES, userIds=[each]) for each in self.users]

    def changed(self, users: Sequence[UserId], *, version: int) -> list[Record]:
        """Return new balances: the moment at which they were made."""
        now = moment()
        return [
            edge_table.balance(each, self.token, now, version=version) for each in users
        ]


def accounts(count: int) -> Accounts:
    """Return made-up users, the same each time."""
    users = [UserId(encode_address(22, n.to_bytes(20))) for n in range(1, count + 1)]
    return Accounts(users, contracts(1)[0])


# Ticks are balances of one user: the balances party sends no table to who comes back.
TICKED = UserId(encode_address(22, (1).to_bytes(20)))


def ticking(count: int) -> list[Record]:
    """Return the tokens whose balances ticks are."""
    return [edge_table.token(each, decimals=0) for each in contracts(count)]


def tick(number: int) -> list[Record]:
    """Return the tick of a number: the balance of a token of its own."""
    contract = contracts(number + 1)[number]
    return [edge_table.balance(TICKED, contract, number, version=1)]


def resuming(*, again: bool) -> str:
    """Return a client that watches ticks, and goes on from its cursor ``again``."""
    hello = json.dumps({"type": "HELLO", "features": ["resume"]})
    since = {"since": "@"} if again else {}
    asked = json.dumps({"type": "SUBSCRIBE", "userIds": [TICKED], **since})
    return "\t".join((_BALANCES, hello, asked))


def _line(path: str, **asked: Sequence[str]) -> str:
    return f"{path}\t{json.dumps({'type': 'SUBSCRIBE', **asked})}"
