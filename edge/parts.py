"""What every request needs at hand."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from aiohttp import web

from edge.clients import Clients
from edge.config import EdgeConfig
from edge.core.hub import Hub
from edge.core.limits import Spending
from edge.demand import Demand
from edge.follower import Follower
from edge.sending import Answers
from runtime.clock import Clock
from runtime.health import Health
from runtime.metrics import (
    BUFFERED_BYTES,
    CLIENTS_BEHIND,
    HELD_BACK,
    LOG_SILENCE_SECONDS,
    NEWEST_OBSERVATION,
    OLD_PRICES,
    STALE,
    TABLE_KEYS,
    WATERMARK_SECONDS,
)

# Of a request: from which address, or network of a household, and may it ask for a reading.
WHO = web.RequestKey("who", str)
MAY_REFRESH = web.RequestKey("may_refresh", bool)
# How the kinds of observations are called in metrics, in the order of ``Newest``.
_KINDS = ("price", "balance", "token")
# How many bytes were made to answer it, where these are not the bytes of the answer.
MADE_BYTES = web.RequestKey("made_bytes", int)


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of one edge, and whether it may be asked."""

    config: EdgeConfig
    clock: Clock
    hub: Hub
    clients: Clients
    demand: Demand
    follower: Follower
    answers: Answers
    # Bytes that were made for each address.
    spending: Spending[str]
    health: Health = field(default_factory=lambda: Health("edge"))
    draw: Callable[[], float] = random.random
    # Long answers are compressed one after the other, beside the loop.
    packing: asyncio.Lock = field(default_factory=asyncio.Lock)
    # And made one after the other, in turns with everybody else.
    making: asyncio.Lock = field(default_factory=asyncio.Lock)

    def spend(self, who: str, made_bytes: float) -> None:
        """Count bytes that were made for an address."""
        self.spending.spend(who, made_bytes, now_s=self.clock.monotonic_s())

    def spent_out_s(self, who: str) -> float:
        """Return for how long an address may not have anything made; 0 when it may."""
        return self.spending.wait_s(who, now_s=self.clock.monotonic_s())

    def closed_because(self) -> str | None:
        """Return why nobody is served now; ``None`` when everybody is.

        An empty table would look like an empty market.
        """
        if self.clients.closing:
            return "stopping"
        return self.follower.behind()

    def measure(self) -> None:
        """Set the metrics that are not kept up to date all the time."""
        self.clients.count_sent()
        self.answers.measure()
        HELD_BACK.set(self.hub.held_back)
        TABLE_KEYS.set(self.hub.keys)
        CLIENTS_BEHIND.set(self.hub.behind)
        buffered = [client.backlog_bytes for client in self.clients]
        BUFFERED_BYTES.labels("all").set(sum(buffered))
        BUFFERED_BYTES.labels("worst").set(max(buffered, default=0))
        WATERMARK_SECONDS.set(self.follower.oldest_watermark_ms() / 1_000)
        LOG_SILENCE_SECONDS.set(self.follower.silent_s())
        STALE.set(self.follower.stale() is not None)
        OLD_PRICES.set(self.follower.old_prices().total)
        newest = self.hub.newest
        for kind, at_ms in zip(_KINDS, newest, strict=True):
            if at_ms is not None:
                NEWEST_OBSERVATION.labels(kind).set(at_ms / 1_000)
