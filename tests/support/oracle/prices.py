"""The fold of prices, as docs/fold.md says it."""

from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction
from typing import Any

from tests.support.oracle.outcome import MAX_SOURCES, Outcome, moment_of

FIFTY = Context(prec=50, rounding=ROUND_HALF_EVEN)


class Prices:
    """What is known of every token's price."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings = settings
        # By token: the last word of each source, and the last value published.
        self.words: dict[str, dict[str, dict[str, Any]]] = {}
        self.published: dict[str, tuple[str, int]] = {}

    def fold(self, seen: dict[str, Any], origin: list[Any]) -> Outcome:
        words = self.words.setdefault(seen["contractId"], {})
        held = words.get(seen["source"])
        if held and moment_of(held) == moment_of(seen):
            equal = held["usd"] == seen["usd"]
            return Outcome.one("duplicate") if equal else Outcome.refused("conflict")
        if held and moment_of(seen) < moment_of(held):
            return Outcome.one("stale")
        if not held and len(words) == MAX_SOURCES:
            return Outcome.refused("full")
        words[seen["source"]] = seen | {"origin": origin}
        return self.publish(seen["contractId"])

    def publish(self, token: str) -> Outcome:
        newest = max(word["observedAt"] for word in self.words[token].values())
        fresh = [
            word
            for _, word in sorted(self.words[token].items())
            if newest - word["observedAt"] <= self.settings["priceMaxAgeMs"]
        ]
        usd = median([Decimal(word["usd"]) for word in fresh])
        before, version = self.published.get(token, (None, 0))
        if before is not None and not self.moved(before, usd):
            return Outcome.one("unchanged")
        self.published[token] = (usd, version + 1)
        value = {
            "schema": "price/1",
            "contractId": token,
            "usd": usd,
            "version": version + 1,
            "observedAt": newest,
            "origins": [word["origin"] for word in fresh],
            "market": latest_market(fresh),
        }
        return Outcome.one("published", (f"price:{token}", value))

    def moved(self, before: str, now: str) -> bool:
        """Tell whether a price is away from the one before by more than allowed."""
        allowed = Fraction(self.settings["priceDeviation"]) * Fraction(before)
        return abs(Fraction(now) - Fraction(before)) > allowed


def median(values: list[Decimal]) -> str:
    """Return the median as records write it."""
    ordered = sorted(values)
    half = len(ordered) // 2
    middle = ordered[half]
    if len(ordered) % 2 == 0:
        middle = FIFTY.divide(FIFTY.add(ordered[half - 1], middle), Decimal(2))
    text = format(middle.quantize(Decimal("1e-18"), context=FIFTY), "f")
    return text.rstrip("0").rstrip(".")


def latest_market(fresh: list[dict[str, Any]]) -> Any:
    """Return the market of the latest word that has one; among equals the last name's."""
    best = None
    for word in fresh:
        if word["market"] is not None and (
            best is None or moment_of(word) >= moment_of(best)
        ):
            best = word
    return best["market"] if best else None
