"""How many requests a host may get, and when a source is left alone."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from ingest.core.headers import number

_MINUTE_S = 60.0
_HOUR_S = 3_600.0
_MONTH_S = 30 * 24 * _HOUR_S
# At nine tenths of the rate a burst of one tenth fits into any minute.
_STEADY = 0.9
# Limits in an answer may slow us down to one request a minute and no further: the next
# answer has to come soon, to say whether they still hold.
_LEAST_RATE_S = 1 / _MINUTE_S
_MONTH_OWED_S = 300.0
# The windows that gateways name in their headers; they are spread evenly over a minute.
_WINDOWS_S = {"second": 1.0, "minute": _MINUTE_S, "hour": _HOUR_S, "day": 24 * _HOUR_S}
_ANY_LIMIT = ("ratelimit-limit", "x-ratelimit-limit")
_ANY_LEFT = ("ratelimit-remaining", "x-ratelimit-remaining")
_RESET = ("ratelimit-reset", "x-ratelimit-reset")
# Rates that differ by less are the same.
_NEARLY = 0.99
_COST = "x-ratelimit-cost-stacks"
# `100;w=60`, several with commas: a limit and its window in seconds.
_POLICY = re.compile(r"([0-9]{1,12}) *; *w *= *([0-9]{1,8})(?![0-9])")
# Larger numbers of seconds until a reset are a time of day, and tell no window.
_UNIX_FROM = 1_000_000_000


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
    little and a day cannot eat the month. ``setting`` is what we mean to use at most,
    ``limits`` what is in force: the setting, or less where the newest answer says so.
    """

    setting: Limits
    limits: Limits
    minute: float
    month: float | None
    at_s: float
    blocked_until_s: float = 0.0

    @property
    def rate_s(self) -> float:
        """Requests a second that can go on for ever, as things are."""
        return max(self.limits.rate_s, min(self.setting.rate_s, _LEAST_RATE_S))

    @property
    def is_narrowed(self) -> bool:
        """Whether an upstream allows less than the settings."""
        return self.rate_s < self.setting.rate_s


def full(limits: Limits, *, now_s: float) -> Budget:
    """Return a budget nobody has drawn on."""
    return Budget(limits, limits, limits.burst, _month_share(limits), now_s)


def wait_s(budget: Budget, *, now_s: float) -> float:
    """Return how long until one request may go out; 0 is now."""
    filled = _filled(budget, now_s)
    blocked = max(0.0, filled.blocked_until_s - now_s)
    minute = max(0.0, 1 - filled.minute) / _minute_rate(filled)
    month = 0.0
    if filled.month is not None:
        month = max(0.0, 1 - filled.month) / _month_rate(filled)
    return max(blocked, minute, month)


def spend(budget: Budget, *, now_s: float, cost: float = 1.0) -> Budget:
    """Take one request, or the rest of one that turned out to cost more, out of it.

    The buckets are never overdrawn by more than a burst, nor that of the month by more
    than it gains in some minutes: where answers narrow it to a trickle, a burst would
    keep us from the next answer for an hour.
    """
    filled = _filled(budget, now_s)
    least, month = -filled.limits.burst, filled.month
    if month is not None:
        most_owed = max(1.0, _month_rate(filled) * _MONTH_OWED_S)
        month = max(least, -most_owed, month - cost)
    return replace(filled, minute=max(least, filled.minute - cost), month=month)


def block(budget: Budget, *, now_s: float, for_s: float) -> Budget:
    """Let nothing out for a while: the host said 429, to all of us."""
    until_s = max(budget.blocked_until_s, now_s + for_s)
    return replace(_filled(budget, now_s), minute=0.0, blocked_until_s=until_s)


def slowness(budget: Budget, needed_s: float, *, now_s: float) -> str | None:
    """Return why a host cannot be asked as often as is needed, if so.

    ``needed_s`` is in requests a second; 0 means that nothing is needed.
    """
    if needed_s <= 0:
        return None
    blocked_s = budget.blocked_until_s - now_s
    if blocked_s > 1 / needed_s:
        return f"it asks us to wait for another {blocked_s:.0f} s"
    if budget.rate_s >= needed_s * _NEARLY:
        return None
    by = "it allows" if budget.is_narrowed else "the settings allow"
    return (
        f"{by} {_per_minute_text(budget.rate_s)} requests a minute, "
        f"{_per_minute_text(needed_s)} are needed for the intervals that are set"
    )


def _per_minute_text(rate_s: float) -> str:
    return f"{rate_s * _MINUTE_S:.3g}"


def says_limits(headers: Mapping[str, str]) -> bool:
    """Tell whether an answer says anything of a limit, of whatever window."""
    return _limits(Limits(10**12), headers) != Limits(10**12)


def learn(budget: Budget, headers: Mapping[str, str], *, now_s: float) -> Budget:
    """Correct the budget by what an answer's headers (lower-case names) say of limits.

    The newest answer counts: what an earlier one said is over, and one that says nothing
    puts the setting back in force. No answer widens the setting, since others may use
    the same key; none narrows it below a request a minute; and none costs more than a
    burst, whatever it claims.
    """
    limits = _limits(budget.setting, headers)
    cost = min(number(headers, _COST) or 1, limits.burst)
    spent = spend(replace(budget, limits=limits), now_s=now_s, cost=max(0.0, cost - 1))
    month = _month_share(limits) if spent.month is None else spent.month
    if limits.per_month is None:
        month = None
    return _emptied(replace(spent, month=month), headers)


def _limits(setting: Limits, headers: Mapping[str, str]) -> Limits:
    """Return the setting, narrowed by what headers say."""
    minute = _per_minute(headers)
    month, second = _said(headers, "limit", "month"), _said(headers, "limit", "second")
    return Limits(
        per_minute=_narrower(setting.per_minute, minute) or setting.per_minute,
        per_month=_narrower(setting.per_month, month),
        per_second=_narrower(setting.per_second, second),
    )


def _narrower(setting: int | None, said: float | None) -> int | None:
    """Return the smaller of two limits; one of no request at all is read as one."""
    if said is None:
        return setting
    least = max(1, round(said))
    return least if setting is None else min(setting, least)


def _per_minute(headers: Mapping[str, str]) -> float | None:
    """Return the narrowest limit of an answer, in requests a minute."""
    named = [
        limit * _MINUTE_S / window_s
        for name, window_s in _WINDOWS_S.items()
        if (limit := _said(headers, "limit", name)) is not None
    ]
    if named:
        return min(named)
    policies = _POLICY.findall(headers.get("ratelimit-limit", ""))
    spread = [int(limit) * _MINUTE_S / int(w) for limit, w in policies if int(w)]
    if spread:
        return min(spread)
    return number(headers, *_ANY_LIMIT) if _is_of_a_minute(headers) else None


def _is_of_a_minute(headers: Mapping[str, str]) -> bool:
    """Tell whether headers that name no window can mean a minute.

    Some gateways send those of whichever window is nearest its end: a limit that is
    reset in more than a minute is of an hour, a day or a month.
    """
    if any(
        _said(headers, "limit", name) is not None for name in (*_WINDOWS_S, "month")
    ):
        return False
    reset_s = number(headers, *_RESET)
    return reset_s is None or reset_s <= _MINUTE_S or reset_s >= _UNIX_FROM


def _said(headers: Mapping[str, str], what: str, window: str) -> int | None:
    names = (f"x-ratelimit-{what}-stacks-{window}", f"x-ratelimit-{what}-{window}")
    return number(headers, *names)


def _emptied(budget: Budget, headers: Mapping[str, str]) -> Budget:
    """Return the buckets with no more in them than an answer says is left."""
    minute_left = _said(headers, "remaining", "minute")
    if minute_left is None and _is_of_a_minute(headers):
        minute_left = number(headers, *_ANY_LEFT)
    month_left = _said(headers, "remaining", "month")
    minute, month = min(budget.minute, budget.limits.burst), budget.month
    if minute_left is not None:
        minute = min(minute, minute_left)
    if month_left is not None and month is not None:
        month = min(month, month_left)
    return replace(budget, minute=minute, month=month)


def _filled(budget: Budget, now_s: float) -> Budget:
    elapsed_s = max(0.0, now_s - budget.at_s)
    gained = budget.minute + elapsed_s * _minute_rate(budget)
    month, share = budget.month, _month_share(budget.limits)
    if month is not None and share is not None:
        month = min(share, month + elapsed_s * _month_rate(budget))
    minute = min(budget.limits.burst, gained)
    return replace(budget, minute=minute, month=month, at_s=max(now_s, budget.at_s))


def _minute_rate(budget: Budget) -> float:
    setting_s, limit_s = (
        limits.per_minute / _MINUTE_S * _STEADY
        for limits in (budget.setting, budget.limits)
    )
    return max(limit_s, min(setting_s, _LEAST_RATE_S))


def _month_rate(budget: Budget) -> float:
    setting_s, limit_s = (
        (limits.per_month or float("inf")) / _MONTH_S
        for limits in (budget.setting, budget.limits)
    )
    return max(limit_s, min(setting_s, _LEAST_RATE_S))


def _month_share(limits: Limits) -> float | None:
    if limits.per_month is None:
        return None
    return max(1.0, limits.per_month * _HOUR_S / _MONTH_S)


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
