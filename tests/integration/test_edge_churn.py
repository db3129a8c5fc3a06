"""Clients come, go and change their minds while values change: no gap and no repeat."""

import asyncio
import random
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from schemas.ids import ContractId, UserId
from tests.support.serving import (
    ANNE,
    BOB,
    Listener,
    Message,
    Serving,
    balance,
    price,
    serving,
    the_tokens,
    token,
)

TOKENS = [ContractId(f"{BOB}.token-{number}") for number in range(6)]
USERS = [ANNE, BOB, UserId(TOKENS[0]), UserId(TOKENS[1])]
CLIENTS, ROUNDS, CHANGES = 12, 12, 15


@dataclass
class Churn:
    """Values that only grow, and the last of each."""

    running: Serving
    dice: random.Random
    last: dict[Any, int] = field(default_factory=dict)
    _value: int = 0

    async def change(self) -> None:
        """Publish some new values."""
        for _ in range(CHANGES):
            self._value += 1
            one, user = self.dice.choice(TOKENS), self.dice.choice(USERS)
            if self.dice.random() < 0.5:
                await price(self.running.log, one, f"{self._value}")
                self.last[one] = self._value
            else:
                await balance(
                    self.running.log, user, one, self._value, version=self._value
                )
                self.last[user, one] = self._value

    async def wish(self, client: "Client") -> None:
        """Have a client ask for something else, in the middle of everything."""
        ids = self.dice.sample(client.choices, self.dice.randint(0, 2))
        kind = self.dice.choice(["SUBSCRIBE", "SUBSCRIBE", "UNSUBSCRIBE"])
        await client.asks(kind, ids)


@dataclass
class Client:
    """A client that checks whatever it hears."""

    listener: Listener
    party: str
    everything: bool = False
    named: set[str] = field(default_factory=set)
    held: dict[Any, int] = field(default_factory=dict)

    @property
    def choices(self) -> list[str]:
        return [*TOKENS] if self.party == "prices" else [*USERS]

    async def asks(self, kind: str, ids: list[str]) -> None:
        name = "contractIds" if self.party == "prices" else "userIds"
        heard = await self.listener.until_now()
        self.take(heard, fresh=True)
        await self.listener.send(kind, **{name: ids})
        heard = await self.listener.until_now()
        if kind == "SUBSCRIBE":
            self.everything |= not ids
            self.named |= set(ids)
        elif ids:
            self.named -= set(ids)
        else:
            self.everything, self.named = False, set()
        # The answer repeats what is known; changes around it are mixed in.
        self.take(heard, fresh=False)

    def take(self, messages: list[Message], *, fresh: bool) -> None:
        for key, value in _values(messages):
            if key in self.held:
                assert value >= self.held[key], "an older value came after a newer"
                assert not fresh or value > self.held[key], "a value was repeated"
            assert not fresh or self.covers(key), "nobody asked for this"
            self.held[key] = value

    def covers(self, key: Any) -> bool:
        owner = key[0] if isinstance(key, tuple) else key
        return self.everything or owner in self.named


def _values(messages: list[Message]) -> list[tuple[Any, int]]:
    updates = [
        update
        for message in messages
        for update in message.get("prices") or message.get("balances") or [message]
    ]
    return [
        (update["contractId"], int(update["price"]))
        if update["type"] == "PRICE_UPDATE"
        else ((update["userId"], update["contractId"]), update["balance"])
        for update in updates
        if update.get("contractId") in TOKENS
    ]


@pytest.mark.parametrize("seed", range(4))
async def test_every_client_ends_with_the_table_and_saw_each_value_once(
    tmp_path: Path, seed: int
) -> None:
    async with serving(tmp_path, before=the_tokens) as running:
        churn = Churn(running, random.Random(seed))
        for one in TOKENS:
            await token(running.log, one, decimals=0)
        await running.taken_in()
        async with AsyncExitStack() as stack:
            clients = [
                Client(
                    await stack.enter_async_context(running.listener(f"/{party}")),
                    party,
                )
                for party in ("prices", "balances")
                for _ in range(CLIENTS // 2)
            ]
            for _ in range(ROUNDS):
                await _round(churn, clients)
            await running.taken_in()
            for client in clients:
                client.take(await client.listener.until_now(), fresh=True)
                _ends_with_the_table(client, churn)


async def _round(churn: Churn, clients: list[Client]) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(churn.change(), name="changes")
        for client in clients:
            group.create_task(churn.wish(client), name="a wish")


def _ends_with_the_table(client: Client, churn: Churn) -> None:
    prices = client.party == "prices"
    wanted = {
        key: value
        for key, value in churn.last.items()
        if isinstance(key, tuple) is not prices and client.covers(key)
    }
    assert {key: client.held.get(key) for key in wanted} == wanted
