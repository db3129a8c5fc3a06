"""The messages of the base protocol as they are after ``WELCOME``.

Each keeps its type and its fields and may have those that the features add: ``seq`` and
``cursor`` (``schemas.extras.Granted``), ``version`` in every update with ``resume``, the
exact forms with ``exact``, ``code`` in every ``ERROR`` with ``ack``.
"""

from typing import Literal

from pydantic import JsonValue

from schemas.base import Count, Millis
from schemas.extras import (
    ErrorCode,
    ExactBalanceUpdate,
    ExactPriceUpdate,
    Granted,
)
from schemas.wire import (
    BalanceUpdate,
    Error,
    Outbound,
    Pong,
    PriceUpdate,
    Subscribe,
)


class ResumingSubscribe(Subscribe):
    """``SUBSCRIBE`` with ``since``: a cursor up to which the client has everything.

    What is no cursor is answered as one that cannot be read.
    """

    since: JsonValue = None


class Versioned(Outbound):
    """An update with the number of its value, which grows with every change of the key."""

    version: Count | None = None


class VersionedPriceUpdate(PriceUpdate, Versioned):
    """A price in a batch."""


class VersionedExactPriceUpdate(ExactPriceUpdate, Versioned):
    """An exact price in a batch."""


class VersionedBalanceUpdate(BalanceUpdate, Versioned):
    """A balance in a batch."""


class VersionedExactBalanceUpdate(ExactBalanceUpdate, Versioned):
    """An exact balance in a batch."""


class GrantedPriceUpdate(VersionedPriceUpdate, Granted):
    """One price, without ``exact``."""


class GrantedExactPriceUpdate(VersionedExactPriceUpdate, Granted):
    """One price, with ``exact``."""


class GrantedPriceBatch(Granted):
    """Several prices; ``timestamp`` is now."""

    type: Literal["PRICE_BATCH"] = "PRICE_BATCH"
    prices: tuple[VersionedPriceUpdate | VersionedExactPriceUpdate, ...]
    timestamp: Millis


class GrantedBalanceUpdate(VersionedBalanceUpdate, Granted):
    """One balance, without ``exact``."""


class GrantedExactBalanceUpdate(VersionedExactBalanceUpdate, Granted):
    """One balance, with ``exact``."""


class GrantedBalanceBatch(Granted):
    """Several balances; ``timestamp`` is now."""

    type: Literal["BALANCE_BATCH"] = "BALANCE_BATCH"
    balances: tuple[VersionedBalanceUpdate | VersionedExactBalanceUpdate, ...]
    timestamp: Millis


class GrantedPong(Pong, Granted):
    """Echoes the ``timestamp`` of a ``PING``; without one there is none here either."""


class GrantedError(Error, Granted):
    """Something in the last message could not be served; ``code`` is there with ``ack``."""

    code: ErrorCode | None = None
