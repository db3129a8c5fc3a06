"""Whatever the client and its edges go through: in the end it holds what they hold."""

from collections.abc import Iterable, Sequence
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.hub import Rules, Write
from schemas.extras import FEATURES, Feature
from stacks_feed_client.core.ids import ALL
from stacks_feed_client.core.pace import Pace
from tests.support.client_worlds import Program
from tests.support.edge_table import balance, price
from tests.support.edge_worlds import (
    HOUR_MS,
    PARTITIONS,
    RULES,
    TOKENS,
    USERS,
    Edge,
    Log,
    subnet,
)

# How often each of what can happen does.
CHANGES = {
    "price": 6,
    "balance": 6,
    "withdraw price": 2,
    "withdraw balance": 2,
    "base": 1,
    "tick": 2,
    "a day passes": 1,
}
TURNS = {"read": 12, "edge hears": 12, "hears": 12, "stall": 1, "drain": 3, "beat": 3}
UPSETS = {"connect": 3, "lose": 2, "want": 2}
WEIGHTS = CHANGES | TURNS | UPSETS
STEPS, ROUNDS = 30, 6
FEATURE_SETS: tuple[Sequence[Feature], ...] = (
    FEATURES,
    FEATURES,
    FEATURES,
    tuple(each for each in FEATURES if each != "ack"),
    ("resume", "heartbeat"),
    ("ack", "exact"),
    (),
)


def wanted(party: str, chosen: Iterable[int]) -> frozenset[str]:
    ids = [ALL, *(TOKENS if party == "prices" else USERS)]
    return frozenset(ids[each] for each in chosen)


class World:
    """A log, two edges that read it, one client."""

    def __init__(self, party: str, dice: Random) -> None:
        self.dice, self.log = dice, Log()
        rules = [
            Rules(features=tuple(each), piece_bytes=RULES.piece_bytes)
            for each in dice.choices(FEATURE_SETS, k=2)
        ]
        self.edges = [Edge(self.log, each) for each in rules]
        # A pace of one message a second leaves much waiting while everything else goes on.
        pace = dice.choice([None, Pace(per_s=1.0, burst=2.0)])
        self.program = Program(party, pace=pace)
        self.party = party

    def take(self, name: str) -> None:
        getattr(self, name.replace(" ", "_"))()

    # ---- what happens to the client

    def connect(self) -> None:
        self.program.connect(self.dice.choice(self.edges))

    def lose(self) -> None:
        self.program.lose()

    def want(self) -> None:
        chosen = self.dice.sample(range(3), self.dice.randint(0, 2))
        self.program.want(wanted(self.party, chosen))

    def hears(self) -> None:
        self.program.hears(self.dice.randint(1, 4))

    def edge_hears(self) -> None:
        self.program.edge_hears()

    def stall(self) -> None:
        self.program.stall()

    def drain(self) -> None:
        self.program.drain()

    def beat(self) -> None:
        self.program.beat()

    # ---- what happens to the log and the edges

    def read(self) -> None:
        edge, part = self.dice.choice(self.edges), self.dice.randrange(PARTITIONS)
        self.carry(edge, edge.read(part, self.dice.randint(1, 3)))

    def price(self) -> None:
        self.log.price(self.dice.choice(TOKENS))

    def balance(self) -> None:
        self.log.balance(self.dice.choice(USERS), self.dice.choice(TOKENS))

    def withdraw_price(self) -> None:
        self.log.withdraw(price(self.dice.choice(TOKENS), "1"))

    def withdraw_balance(self) -> None:
        held = self.dice.choice(USERS), self.dice.choice(TOKENS)
        self.log.withdraw(balance(*held, 0))

    def base(self) -> None:
        self.log.put(subnet(self.dice.choice(TOKENS)))

    def tick(self) -> None:
        self.log.tick()
        self.program.passes(1.0)

    def a_day_passes(self) -> None:
        self.log.now_ms += 30 * HOUR_MS
        self.log.tick()

    def carry(self, edge: Edge, writes: list[Write]) -> None:
        line = self.program.line
        if line is not None and line.edge is edge:
            line.carry_writes(writes)

    def settle(self) -> None:
        """Let everything be read and heard."""
        if self.program.line is None:
            self.connect()
        for edge in self.edges:
            self.carry(edge, edge.read_all())
        self.program.settle()

    def told_to_a_new_client(self) -> dict[Any, Any]:
        """Return what a client holds that asks the same edge for the same, just now."""
        assert self.program.line is not None
        fresh = Program(self.party, first_id=10_000)
        fresh.want(self.program.machine.books.standing.wanted)
        fresh.connect(self.program.line.edge)
        fresh.settle()
        held = fresh.held()
        fresh.lose()
        return held


@pytest.mark.parametrize("party", ["prices", "balances"])
@given(dice=st.integers(0, 2**32).map(Random))
def test_a_client_ends_with_what_a_new_client_is_told(party: str, dice: Random) -> None:
    world = World(party, dice)
    world.want()
    for _ in range(ROUNDS):
        for name in dice.choices([*WEIGHTS], [*WEIGHTS.values()], k=STEPS):
            world.take(name)
        world.settle()
        assert world.program.is_live
        held, told = world.program.held(), world.told_to_a_new_client()
        if not world.program.hears_of_withdrawals:
            held = {key: value for key, value in held.items() if key in told}
        assert held == told
