"""A client's core and a server that a test speaks for, message by message."""

import itertools
import json
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from stacks_feed_client.core.conversation import Effects
from stacks_feed_client.core.itinerary import Itinerary
from stacks_feed_client.core.machine import Machine
from stacks_feed_client.core.pace import Pace
from stacks_feed_client.core.party import PRICES
from stacks_feed_client.core.values import Balance, Price, Token
from stacks_feed_client.core.writing import FEATURES

Message = dict[str, Any]


def a_price(
    usd: str = "1", *, contract: str = ".stx", version: int | None = None
) -> Price:
    return Price(contract, Decimal(usd), 1, "api", version)


def a_balance(*, version: int | None = None) -> Balance:
    return Balance(
        user_id="SPA",
        contract_id="SPA.cha",
        balance=1,
        formatted=Decimal("0.1"),
        total_sent=0,
        total_received=1,
        subnets=(),
        token=Token("SPA.cha"),
        observed_at_ms=1,
        source="hiro-api",
        version=version,
    )


def price_message(usd: str = "1", *, contract: str = ".stx", **fields: Any) -> Message:
    return {
        "type": "PRICE_UPDATE",
        "contractId": contract,
        "price": usd,
        "timestamp": 1,
        "source": "api",
        **fields,
    }


@dataclass
class Talk:
    """A client of prices; ``sent`` is what it has said and nobody looked at yet."""

    urls: tuple[str, ...] = ("ws://a",)
    features: tuple[str, ...] = FEATURES
    sent: list[Message] = field(default_factory=list)
    now_s: float = 0.0
    effects: Effects[str, Price] = field(default_factory=Effects)
    pace: Pace = field(default_factory=lambda: Pace(burst=1_000))

    def __post_init__(self) -> None:
        self.machine = Machine(PRICES, Itinerary(self.urls), pace=self.pace)
        self._seq = itertools.count(1)

    def wants(self, *ids: str) -> None:
        self.machine.want(frozenset(ids))
        self.drain()

    def open(self) -> None:
        """Connect, and grant the features."""
        self._seq = itertools.count(1)
        self.do(self.machine.opened(now_s=self.now_s))
        if self.features:
            self.raw(type="WELCOME", features=[*self.features], heartbeatMs=5_000)
        else:
            self.raw(type="ERROR", message="Unknown message type")

    def raw(self, **message: Any) -> None:
        """Say something as it is."""
        said = json.dumps(message)
        self.do(self.machine.received(said, now_s=self.now_s))

    def hears(self, *messages: Message) -> None:
        """Say something, numbered."""
        for message in messages:
            number = {"seq": next(self._seq)} if "seq" in self.features else {}
            self.raw(**number, **message)

    def tick(self, seconds: int = 1) -> Effects[str, Price]:
        """Let seconds pass until one of them has an effect."""
        effects: Effects[str, Price] = Effects()
        for _ in range(seconds):
            self.now_s += 1.0
            effects = self.machine.tick(now_s=self.now_s)
            if effects.leave is not None:
                break
        self.do(effects)
        return effects

    def do(self, effects: Effects[str, Price]) -> None:
        self.effects = effects
        self.drain()

    def drain(self) -> None:
        """Send what may be sent by now."""
        while (text := self.machine.next_text(now_s=self.now_s)) is not None:
            self.sent.append(json.loads(text))

    def take(self, kind: str) -> list[Message]:
        """Return what was sent of a kind; the rest is forgotten."""
        found = [message for message in self.sent if message["type"] == kind]
        self.sent = []
        return found

    def pong(self) -> None:
        """Answer every ``PING``, as a server that handles all it was sent."""
        for ping in self.take("PING"):
            self.hears({"type": "PONG", "timestamp": ping["timestamp"]})

    def fills(self, *messages: Message, recovered: bool | None = None) -> None:
        """Answer the one ``SUBSCRIBE`` that was sent, wholly."""
        said: Message = {"type": "SUBSCRIBED", "accepted": None}
        if recovered is not None:
            said["recovered"] = recovered
        if "ack" in self.features or recovered is not None:
            self.hears(said)
        self.hears(*messages)
        self.pong()
