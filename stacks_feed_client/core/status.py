"""How a feed stands, as its user is told."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum


class State(Enum):
    """``LIVE`` alone says that the values are those of now."""

    CONNECTING = "connecting"  # there is no connection; the values are as old as that
    FILLING = "filling"  # connected; the answer is on its way
    LIVE = "live"
    STALE = "stale"  # connected, but the server is silent or says that newer values may exist
    CLOSED = "closed"  # for good


@dataclass(frozen=True, slots=True)
class Status:
    """``why`` says what is wrong, if something is.

    ``recovered`` is there in the first ``LIVE`` of a connection after an earlier one:
    true when nothing published in between was missed (of each key the newest value came);
    false when everything was sent anew: values may have stepped back, and keys that are
    gone were reported as removed.
    """

    state: State
    url: str
    why: str | None = None
    recovered: bool | None = None


@dataclass(frozen=True, slots=True)
class Observed:
    """How old what the server says was when it last said so, in seconds.

    Each is the age of the newest observation of its kind, whether or not it changed a
    value. ``None``: nothing was ever observed, or the server does not tell.

    ``old_prices`` are tokens whose last price stays though no source quotes them any more,
    each with the age of its newest quote: the 50 that were dropped last. ``old_price_count``
    is how many there are.
    """

    prices_age_s: float | None = None
    balances_age_s: float | None = None
    tokens_age_s: float | None = None
    old_prices: Mapping[str, float] = field(default_factory=dict)
    old_price_count: int = 0


@dataclass(slots=True)
class Counts:
    """What happened since the feed was opened.

    ``repeats`` are values that were dropped because they were not newer, ``unreadable``
    those that could not be read, ``gaps`` the breaks in the numbers of messages.
    ``unusable`` are the connections that were given up because an answer or a message
    brought out a bug of this library.
    """

    connections: int = 0
    messages: int = 0
    gaps: int = 0
    unreadable: int = 0
    repeats: int = 0
    conflated: int = 0
    unusable: int = 0
