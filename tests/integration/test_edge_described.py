"""Every message that the edge can send is described, and it sends what is described.

Messages are recorded over real sockets in the lives of clients with every kind of
features, and held to the schemas of the documents that the edge serves.
"""

import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from websockets.exceptions import ConnectionClosed

from eventlog.port import EventLog
from schemas.extras import FEATURES
from schemas.latest import balance_key, price_key
from schemas.topics import LATEST
from schemas.wire import Party
from tests.support.described import document, fits, messages_of, payload
from tests.support.serving import (
    ANNE,
    BOB,
    CHA,
    WELSH,
    Listener,
    Message,
    Serving,
    balance,
    price,
    put,
    serving,
    the_tokens,
    two_prices,
)

INEXACT = tuple(each for each in FEATURES if each != "exact")
# None says no HELLO at all.
KINDS: Sequence[tuple[str, ...] | None] = (None, (), ("ack",), INEXACT, FEATURES)


@dataclass
class Recorder(Listener):
    """A client that keeps what it heard before and after ``WELCOME``."""

    base: list[Message] = field(default_factory=list)
    granted: list[Message] = field(default_factory=list)

    async def next(self) -> Message:
        message = await super().next()
        before = not any(m["type"] == "WELCOME" for m in (*self.base, message))
        (self.base if before or message["type"] == "WELCOME" else self.granted).append(
            message
        )
        return message


@asynccontextmanager
async def recorder(
    running: Serving, party: Party, features: tuple[str, ...] | None
) -> AsyncIterator[Recorder]:
    greeting: list[Message] = []
    async with running.listener(f"/{party}", greeting=greeting) as listener:
        found = Recorder(listener.connection, base=greeting)
        if features is not None:
            await found.asks("HELLO", features=[*features, "unknown"])
        yield found


async def a_table(log: EventLog) -> None:
    await the_tokens(log)
    await two_prices(log)
    await balance(log, ANNE, CHA, 1_500_000, charisma_token_subnet_v1=5)
    await balance(log, BOB, CHA, 2**70, totals=("1", f"{2**100}"))


async def asks_for_everything(client: Recorder, party: Party) -> None:
    ids, name = (
        ([CHA, "stx"], "contractIds") if party == "prices" else ([ANNE], "userIds")
    )
    await client.asks("SUBSCRIBE", **{name: [*ids, "nonsense", 7]})
    await client.asks("UNSUBSCRIBE", **{name: [*ids, WELSH]})
    heard = await client.asks("SUBSCRIBE", **{name: []})
    cursor = next((m["cursor"] for m in heard if "cursor" in m), None)
    for since in (cursor, "nonsense", 7):
        await client.asks("SUBSCRIBE", **{name: [], "since": since})
    await client.asks("UNKNOWN")
    await client.asks("HELLO", features="none")
    await client.asks("PING")


async def changes(running: Serving) -> None:
    """Change one value of each party; then several balances; then withdraw one of each."""
    log = running.log
    await price(log, CHA, "0.5", version=2)
    await balance(log, ANNE, CHA, 7, version=2)
    await running.taken_in()
    await balance(log, ANNE, CHA, 8, version=3)
    await balance(log, BOB, CHA, None, version=2, charisma_token_subnet_v1=9)
    await running.taken_in()
    await put(log, LATEST, balance_key(ANNE, CHA), None)
    await put(log, LATEST, price_key(CHA), None)
    await running.taken_in()


async def a_life(folder: Path) -> dict[Party, list[Recorder]]:
    """Return all clients, with all they heard until the edge stopped."""
    clients: dict[Party, list[Recorder]] = {"prices": [], "balances": []}
    async with AsyncExitStack() as stack:
        async with serving(folder, before=a_table) as running:
            for party, features in itertools.product(clients, KINDS):
                opened = recorder(running, party, features)
                client = await stack.enter_async_context(opened)
                clients[party].append(client)
                await asks_for_everything(client, party)
            await changes(running)
            await running.clock.advance(5)
            for client in itertools.chain(*clients.values()):
                await client.until_now()
        for client in itertools.chain(*clients.values()):
            await heard_out(client)
    return clients


async def heard_out(client: Recorder) -> None:
    """Hear what was sent before the connection was closed."""
    await client.connection.wait_closed()
    with suppress(ConnectionClosed):
        while True:
            await client.next()


def described(party: Party, message: Message, *, granted: bool) -> set[str]:
    """Return the messages of the document that this may be, of base or after WELCOME."""
    every = document("asyncapi")["components"]["messages"]
    return {
        name
        for name in messages_of(party, sent=True)
        if every[name]["name"] == message["type"]
        and (granted or not name.startswith("Granted"))
        and fits("asyncapi", payload(name), message)
    }


async def test_every_message_is_described_and_every_description_is_of_one(
    tmp_path: Path,
) -> None:
    clients = await a_life(tmp_path)
    for party, of_party in clients.items():
        seen: set[str] = set()
        for client in of_party:
            for message in client.base:
                found = described(party, message, granted=False)
                assert found, message
                seen |= found
            for message in client.granted:
                found = described(party, message, granted=True)
                assert found, message
                seen |= found
        assert messages_of(party, sent=True) - seen == set()


def test_what_is_not_described_does_not_fit() -> None:
    pong = {"type": "PONG", "timestamp": 1}
    assert fits("asyncapi", "Pong", pong)
    assert not fits("asyncapi", "Pong", {**pong, "seq": 1})
    assert not fits("asyncapi", "GrantedPong", {**pong, "seq": "1"})
