"""What HTTP answers to those who ask for more than the base protocol has.

With ``?since=CURSOR`` the answer has what changed: of each key the newest value, and what
is void. A client takes ``removed`` first, then the values; with ``recovered: false`` it has
everything, and forgets what is not in it.
"""

from typing import Literal

from schemas.base import Millis
from schemas.extras import Cursor, Removed
from schemas.wire import BalanceUpdate, Outbound, PriceUpdate


class _Since(Outbound):
    """``why`` is there if it is not known what changed; ``cursor`` is the next to ask with."""

    removed: tuple[Removed, ...]
    recovered: bool
    why: Literal["other-log", "other-timeline", "too-old", "ahead"] | None = None
    cursor: Cursor | None = None
    server_time: Millis


class PricesSince(_Since):
    """The prices that changed since a cursor, or all of them."""

    prices: tuple[PriceUpdate, ...]
    party: Literal["prices"] = "prices"


class BalancesSince(_Since):
    """The balances that changed since a cursor, or all of them."""

    balances: tuple[BalanceUpdate, ...]
    party: Literal["balances"] = "balances"


ErrorWord = Literal[
    "bad-request",  # no HTTP, or a WebSocket handshake that is none
    "uri-too-long",
    "headers-too-large",  # one of them, or all together
    "unreadable-cursor",
    "too-many-ids",
    "unknown-parameter",
    "repeated-parameter",
    "unauthorized",
    "origin-not-allowed",
    "not-found",
    "method-not-allowed",
    "too-many-connections",
    "too-many-requests",
    "unavailable",
    "internal",
]


class Mistake(Outbound):
    """What is wrong with a request: a word for programs, a sentence for people."""

    error: ErrorWord
    message: str
