"""How many requests a host may get, and when a source is left alone."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

_MINUTE_S = 60.0
_HOUR_S = 3_600.0
_MONTH_S = 30 * 24 * _HOUR_S
# At nine tenths of the rate a burst of one tenth fits into any minute.
_STEADY = 0.9
# What waits longer is not worth its place in a queue.
_MINUTE_LEFT = ("x-ratelimit-remaining-stacks-minute", "ratelimit-remaining")
_MONTH_LEFT = "x-ratelimit-remaining-stacks-month"
_MINUTE_LIMIT = ("x-ratelimit-limit-stacks-minute", "ratelimit-limit")
_MONTH_LIMIT = "x-ratelimit-limit-stacks-month"
_COST = "x-ratelimit-cost-stacks"
_MAX_DIGITS = 12


@dataclass(frozen=True, slots=True)
class Limits:
    """What a host allows; ``per_month`` and ``per_second`` ``None``: no such limit."""

    per_minute: int
    per_month: int | None = None
    per_second: int | None = None

    @property
    def rate_s(self) -> float:
        """Requests a second that can go on for ever."""
        minute = self.per_minute / _MINUTE_S * _STEADY
        month = (self.per_month or float("inf")) / _MONTH_S
        return min(minute, month)

    @property
    def burst(self) -> float:
        """Requests that may go out at once."""
        burst = self.per_minute * (1 - _STEADY)
        return max(1.0, min(burst, self.per_second or burst))


@dataclass(frozen=True, slots=True)
class Budget:
    """The requests left: of the minute's bucket and, with a limit, of the month's.

    Both fill evenly. The month's holds an hour's share at most, so a restart costs
    little and a day cannot eat the month.
    """

    limits: Limits
    minute: float
    month: float | None
    at_s: float
    blocked_until_s: float = 0.0


def full(limits: Limits, *, now_s: float) -> Budget:
    """Return a budget nobody has drawn on."""
    return Budget(limits, limits.burst, _month_share(limits), now_s)


def wait_s(budget: Budget, *, now_s: float) -> float:
    """Return how long until one request may go out; 0 is now."""
    filled = _filled(budget, now_s)
    blocked = max(0.0, filled.blocked_until_s - now_s)
    minute = max(0.0, 1 - filled.minute) / _minute_rate(filled.limits)
    month = 0.0
    if filled.month is not None and filled.limits.per_month:
        month = max(0.0, 1 - filled.month) * _MONTH_S / filled.limits.per_month
    return max(blocked, minute, month)


def spend(budget: Budget, *, now_s: float, cost: float = 1.0) -> Budget:
    """Take one request, or the rest of one that turned out to cost more, out of it."""
    filled = _filled(budget, now_s)
    month = None if filled.month is None else filled.month - cost
    return replace(filled, minute=filled.minute - cost, month=month)


def block(budget: Budget, *, now_s: float, for_s: float) -> Budget:
    """Let nothing out for a while: the host said 429, to all of us."""
    until_s = max(budget.blocked_until_s, now_s + for_s)
    return replace(_filled(budget, now_s), minute=0.0, blocked_until_s=until_s)


def learn(budget: Budget, headers: Mapping[str, str], *, now_s: float) -> Budget:
    """Correct the budget by what an answer's headers (lower-case names) say of limits.

    Headers only ever tighten it: the settings are what we mean to use at most, and
    others may use the same key.
    """
    cost = _number(headers, _COST) or 1.0
    limits = budget.limits
    minute = _number(headers, *_MINUTE_LIMIT)
    month = _number(headers, _MONTH_LIMIT)
    if minute:
        limits = replace(limits, per_minute=int(min(minute, limits.per_minute)))
    if month:
        limits = replace(limits, per_month=int(min(month, limits.per_month or month)))
    spent = spend(budget, now_s=now_s, cost=cost - 1)
    share = _month_share(limits) if spent.month is None else spent.month
    return _tightened(replace(spent, limits=limits, month=share), headers)


def _tightened(budget: Budget, headers: Mapping[str, str]) -> Budget:
    minute_left, month_left = (
        _number(headers, *_MINUTE_LEFT),
        _number(headers, _MONTH_LEFT),
    )
    minute, month = min(budget.minute, budget.limits.burst), budget.month
    if minute_left is not None:
        minute = min(minute, minute_left)
    if month_left is not None and month is not None:
        month = min(month, month_left)
    return replace(budget, minute=minute, month=month)


def _filled(budget: Budget, now_s: float) -> Budget:
    elapsed_s = max(0.0, now_s - budget.at_s)
    gained = budget.minute + elapsed_s * _minute_rate(budget.limits)
    month, share = budget.month, _month_share(budget.limits)
    if month is not None and share is not None and budget.limits.per_month:
        month = min(share, month + elapsed_s * budget.limits.per_month / _MONTH_S)
    minute = min(budget.limits.burst, gained)
    return replace(budget, minute=minute, month=month, at_s=max(now_s, budget.at_s))


def _minute_rate(limits: Limits) -> float:
    return limits.per_minute / _MINUTE_S * _STEADY


def _month_share(limits: Limits) -> float | None:
    if limits.per_month is None:
        return None
    return max(1.0, limits.per_month * _HOUR_S / _MONTH_S)


def _number(headers: Mapping[str, str], *names: str) -> float | None:
    for name in names:
        text = headers.get(name, "")
        if text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS:
            return float(text)
    return None


# ---- the breaker of one source

OPENS_AFTER = 5
_OPEN_S = 15.0
# A probe is one request: one a minute bothers nobody, and tells of the return in time.
_MAX_OPEN_S = 60.0


@dataclass(frozen=True, slots=True)
class Breaker:
    """Failures in a row of one source; from five on it is left alone for a while."""

    failures: int = 0
    open_until_s: float = 0.0


def is_open(breaker: Breaker, *, now_s: float) -> bool:
    """Tell whether the source is left alone now."""
    return now_s < breaker.open_until_s


def is_tripped(breaker: Breaker) -> bool:
    """Tell whether the source has yet to show that it is back: by one request alone."""
    return breaker.failures >= OPENS_AFTER


def failed(breaker: Breaker, *, now_s: float, draw: float) -> Breaker:
    """Count a failure; ``draw`` in [0, 1) spreads the moment of the next attempt.

    Once the time is over one request is let through; if it fails the breaker opens
    again, for twice as long, up to a minute. Failures while it is open are of requests
    that went out before, and tell nothing new.
    """
    if is_open(breaker, now_s=now_s):
        return breaker
    failures = breaker.failures + 1
    if failures < OPENS_AFTER:
        return Breaker(failures, breaker.open_until_s)
    doublings = min(failures - OPENS_AFTER, 16)
    open_s = min(_MAX_OPEN_S, _OPEN_S * 2.0**doublings) * (1 + draw) / 2
    return Breaker(failures, now_s + open_s)


def succeeded() -> Breaker:
    """Return the breaker of a source that answers."""
    return Breaker()
