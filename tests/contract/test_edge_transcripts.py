"""The base protocol byte for byte: what clients say and what they get.

Each scenario is held to ``golden/edge_NAME.txt``. A line is what happened: ``>`` a
client's message, ``<`` a message to it, ``+`` a change in the table, ``GET`` a request
and ``=`` its answer.
"""

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from edge.core.hub import ClientId, Hub
from schemas.ids import STX
from schemas.log import World
from schemas.wire import Party
from tests.support.edge_table import (
    ANNE,
    BOB,
    CHA,
    CHA_SUBNET,
    MARKET,
    NOW_MS,
    WELSH,
    Record,
    balance,
    gone,
    identity,
    messages,
    price,
    token,
)

_GOLDEN = Path(__file__).parent / "golden"
CHARISMA = token(
    CHA,
    name="Charisma",
    symbol="CHA",
    decimals=6,
    type="SIP10",
    identifier="charisma",
    description='The "red pill" — ünïcode',
    image="https://charisma.example/cha.png",
    total_supply="100000000000000",
    verified=True,
)
SUBNET = token(CHA_SUBNET, name="Charisma", decimals=6, type="SUBNET", base=CHA)


class Transcript:
    """A hub, its clients, and every line that passed between them."""

    def __init__(self, *records: Record, world: World = World.LIVE) -> None:
        self._hub = Hub()
        self._hub.apply([identity(world), *records], now_ms=NOW_MS)
        self.lines: list[str] = []

    def connect(self, client: int, party: Party) -> None:
        self.lines.append(f"{client} connects to {party}")
        frames = self._hub.connect(ClientId(client), party, now_ms=NOW_MS).frames
        self._got(client, frames)

    def say(self, client: int, text: str) -> None:
        self.lines.append(f"{client} > {text}")
        frames = self._hub.receive(ClientId(client), text, now_ms=NOW_MS).frames
        self._got(client, frames)

    def change(self, *records: Record) -> None:
        for key, value in records:
            self.lines.append(f"+ {key.decode()}{'' if value else ' withdrawn'}")
        for write in self._hub.apply(records, now_ms=NOW_MS + 1_000):
            for client in write.clients:
                self._got(client, [write.frames])

    def get(self, party: Party, asked: str | None) -> None:
        query = "" if asked is None else f"?{asked}"
        self.lines.append(f"GET {party}{query}")
        bodies = self._hub.bodies
        body = bodies.body(
            bodies.asked(party, None if asked is None else asked.split(",")),
            now_ms=NOW_MS,
        )
        self.lines.append(f"= {body.json.decode()}")

    def _got(self, client: int, frames: Iterable[bytes]) -> None:
        for text in messages(b"".join(frames)):
            self.lines.append(f"{client} < {text.decode()}")


def prices() -> Transcript:
    seen = Transcript(SUBNET, CHARISMA, price(STX, "0.63"), price(CHA, "0.4684"))
    seen.connect(1, "prices")
    seen.connect(2, "prices")
    seen.say(1, '{"type":"SUBSCRIBE","contractIds":[],"clientId":"one"}')
    seen.say(
        2, f'{{"type":"SUBSCRIBE","contractIds":["{WELSH}","stx","{CHA_SUBNET}"]}}'
    )
    seen.change(price(STX, "0.64"), price(CHA, "0.000000000000000001"))
    seen.change(price(WELSH, "12345678901234567890.5"))
    seen.say(2, '{"type":"UNSUBSCRIBE","contractIds":[".stx"]}')
    seen.change(price(STX, "0.65"))
    seen.say(1, '{"type":"UNSUBSCRIBE"}')
    seen.change(price(STX, "0.66"), gone(price(CHA, "1")))
    return seen


def prices_before_any() -> Transcript:
    seen = Transcript(world=World.SIMULATED)
    seen.connect(1, "prices")
    seen.say(1, '{"type":"SUBSCRIBE"}')
    seen.change(price(CHA, "0.5"))
    seen.change(SUBNET)
    return seen


def balances() -> Transcript:
    held = balance(ANNE, CHA, 2**128 - 1, totals=("100000", "1100000"))
    seen = Transcript(CHARISMA, SUBNET, price(CHA, "0.4684", MARKET), held)
    seen.connect(1, "balances")
    seen.connect(2, "balances")
    seen.say(1, f'{{"type":"SUBSCRIBE","userIds":["{ANNE}","{BOB}"]}}')
    seen.say(2, '{"type":"SUBSCRIBE","userIds":[]}')
    seen.change(balance(BOB, CHA, 1_000_000, subnets={CHA_SUBNET: 500_000}))
    both = balance(BOB, CHA, 1, version=2, subnets={CHA_SUBNET: 0})
    seen.change(both, balance(ANNE, CHA, None, version=2, subnets={CHA_SUBNET: 7}))
    seen.change(balance(ANNE, WELSH, 3))
    seen.change(token(WELSH, name="Welsh", decimals=0))
    seen.say(1, f'{{"type":"UNSUBSCRIBE","userIds":["{ANNE}"]}}')
    seen.change(balance(ANNE, WELSH, 4, version=2))
    seen.change(gone(both))
    return seen


def balances_before_any() -> Transcript:
    seen = Transcript()
    seen.connect(1, "balances")
    seen.say(1, '{"type":"SUBSCRIBE"}')
    seen.say(1, f'{{"type":"SUBSCRIBE","userIds":["{ANNE}"]}}')
    return seen


def mistakes() -> Transcript:
    seen = Transcript(price(CHA, "1"))
    seen.connect(1, "prices")
    for text in (
        "",
        "null",
        "7",
        "[]",
        "{}",
        '{"type":"HELLO","features":["ack"]}',
        '{"type":"SUBSCRIBE","contractIds":"all"}',
        '{"type":"SUBSCRIBE","contractIds":["no id",7]}',
        '{"type":"PING","timestamp":1750913233229}',
        '{"type":"PING"}',
        '{"type":"PING","timestamp":{"a":[1.5,null,"\\u00e9"]}}',
        '{"type":"MANUAL_UPDATE"}',
    ):
        seen.say(1, text)
    seen.change(price(CHA, "2"))
    return seen


def http() -> Transcript:
    seen = Transcript(CHARISMA, price(STX, "0.63"), balance(ANNE, CHA, 5))
    seen.get("prices", None)
    seen.get("prices", f"{WELSH},stx,no id,{CHA}")
    seen.get("prices", "")
    seen.get("balances", None)
    seen.get("balances", f"{BOB},{ANNE}")
    seen.get("balances", "")
    return seen


@pytest.mark.parametrize(
    "scenario",
    [prices, prices_before_any, balances, balances_before_any, mistakes, http],
)
def test_a_base_client_gets_exactly_these_bytes(
    scenario: Callable[[], Transcript],
) -> None:
    golden = _GOLDEN / f"edge_{scenario.__name__}.txt"
    assert scenario().lines == golden.read_text("utf-8").splitlines()
