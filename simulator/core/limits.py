"""Hiro's request limit: what is left of a minute, and the headers that tell."""

from collections.abc import Mapping
from typing import NamedTuple

_MINUTE_S = 60


class Spent(NamedTuple):
    """How many requests came in which minute."""

    minute: int = 0
    requests: int = 0


def spend(spent: Spent, *, now_s: float) -> Spent:
    """Count one request at a moment; each minute of the clock begins anew."""
    minute = int(now_s) // _MINUTE_S
    return Spent(minute, spent.requests + 1 if minute == spent.minute else 1)


def headers(spent: Spent, *, per_minute: int) -> Mapping[str, str]:
    """Return the headers that every answer carries."""
    left = str(max(0, per_minute - spent.requests))
    return {
        "ratelimit-limit": str(per_minute),
        "ratelimit-remaining": left,
        "ratelimit-reset": str(_reset_s(spent)),
        "x-ratelimit-cost-stacks": "1",
        "x-ratelimit-limit-stacks-minute": str(per_minute),
        "x-ratelimit-remaining-stacks-minute": left,
    }


def retry_after_s(spent: Spent, *, now_s: float) -> int:
    """Return how long to wait for the next minute, at least a second."""
    return max(1, _reset_s(spent) - int(now_s))


def _reset_s(spent: Spent) -> int:
    return (spent.minute + 1) * _MINUTE_S
