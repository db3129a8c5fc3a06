"""The fold of prices, as docs/fold.md says it: one class a generation."""

from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction
from typing import Any

from tests.support.oracle.outcome import MAX_SOURCES, Outcome, moment_of

FIFTY = Context(prec=50, rounding=ROUND_HALF_EVEN)
YEAR_2009_MS = 1_230_768_000_000


@dataclass
class Source:
    """What one source has said of one token, as far as it was held.

    ``runs`` are the moments at which each run of equal prices began.
    """

    last: dict[str, Any]
    runs: list[int]

    def say(self, quote: dict[str, Any]) -> None:
        if quote["usd"] != self.last["usd"]:
            self.runs.append(quote["observedAt"])
        self.last = quote

    @property
    def usd(self) -> Decimal:
        return Decimal(self.last["usd"])

    @property
    def time(self) -> int:
        said: int | None = self.last["sourceTime"]
        observed_at: int = self.last["observedAt"]
        if said is None or said < YEAR_2009_MS:
            return observed_at
        return min(said, observed_at)

    def changes_after(self, moment: int) -> int:
        """Return how often its price has changed after a moment; more than 3 are 3."""
        return sum(began > moment for began in self.runs[1:][-3:])


@dataclass
class Token:
    """What is known of one token's price."""

    sources: dict[str, Source] = field(default_factory=dict)
    published: str | None = None
    version: int = 0
    observed_at: int = 0
    reference: str | None = None
    suspect: dict[str, Any] | None = None


class Prices:
    """What is known of every token's price, in generation 2."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings = settings
        self.tokens: dict[str, Token] = {}

    def fold(self, seen: dict[str, Any], origin: list[Any]) -> Outcome:
        token = self.tokens.setdefault(seen["contractId"], Token())
        source = token.sources.get(seen["source"])
        if source and moment_of(source.last) == moment_of(seen):
            equal = source.last["usd"] == seen["usd"]
            return Outcome.one("duplicate") if equal else Outcome.refused("conflict")
        if source and moment_of(seen) < moment_of(source.last):
            return Outcome.one("stale")
        if not source and len(token.sources) == MAX_SOURCES:
            return Outcome.refused("full")
        quote = seen | {"origin": origin}
        if source:
            source.say(quote)
        else:
            token.sources[seen["source"]] = Source(quote, [seen["observedAt"]])
        counting = self.counting(token)
        return self.decide(token, counting) if counting else Outcome.one("unchanged")

    def counting(self, token: Token) -> list[Source]:
        """Return the sources whose quotes count, by price."""
        newest = max(source.last["observedAt"] for source in token.sources.values())
        fresh = [
            source
            for _, source in sorted(token.sources.items())
            if newest - source.time <= self.settings["priceMaxAgeMs"]
        ]
        moving = [source for source in fresh if not self.is_frozen(source, fresh)]
        return sorted(moving, key=lambda source: source.usd)

    def is_frozen(self, source: Source, fresh: list[Source]) -> bool:
        limit, since = self.settings["priceFrozenMs"], source.runs[-1]
        if not limit or source.last["observedAt"] - since <= limit:
            return False
        return any(other.changes_after(since) == 3 for other in fresh)

    def decide(self, token: Token, counting: list[Source]) -> Outcome:
        chosen = self.chosen(token, counting)
        value = cut(chosen.last["usd"])
        if value != token.published and self.is_held_back(token, chosen, counting):
            token.suspect = chosen.last
            return Outcome.one("suspect")
        token.suspect = None
        outcome = Outcome.one("unchanged")
        if token.published is None or self.moved(token.published, value):
            outcome = self.publish(token, value, counting)
        if len(counting) > 1:
            token.reference = token.published
        return outcome

    def chosen(self, token: Token, counting: list[Source]) -> Source:
        half = len(counting) // 2
        if len(counting) % 2:
            return counting[half]
        low, high = counting[half - 1 : half + 1]
        reference = token.reference or token.published
        if reference is None:
            return low
        # By ratio: how many times larger one is than the other.
        from_low, from_high = (
            apart(low.usd, Decimal(reference)),
            apart(high.usd, Decimal(reference)),
        )
        return low if from_low <= from_high else high

    def is_held_back(
        self, token: Token, chosen: Source, counting: list[Source]
    ) -> bool:
        """Tell whether a value is a jump that nothing confirms."""
        known = [token.published, token.reference]
        if token.published is None or any(
            self.is_near(chosen.usd, Decimal(usd)) for usd in known if usd is not None
        ):
            return False
        others = [source for source in counting if source is not chosen]
        if any(self.is_near(chosen.usd, other.usd) for other in others):
            return False
        suspect = token.suspect
        return not (
            suspect
            and suspect["source"] == chosen.last["source"]
            and moment_of(suspect) < moment_of(chosen.last)
            and self.is_near(chosen.usd, Decimal(suspect["usd"]))
        )

    def is_near(self, one: Decimal, other: Decimal) -> bool:
        factor = self.settings["priceJumpFactor"]
        return not factor or apart(one, other) <= factor

    def moved(self, before: str, now: str) -> bool:
        """Tell whether a price is away from the one before by more than allowed."""
        allowed = Fraction(self.settings["priceDeviation"]) * Fraction(before)
        return abs(Fraction(now) - Fraction(before)) > allowed

    def publish(self, token: Token, usd: str, counting: list[Source]) -> Outcome:
        by_name = sorted(
            (source.last for source in counting), key=lambda q: q["source"]
        )
        newest = max(quote["observedAt"] for quote in by_name)
        token.published, token.version = usd, token.version + 1
        token.observed_at = max(token.observed_at, newest)
        contract_id = by_name[0]["contractId"]
        value = {
            "schema": "price/1",
            "contractId": contract_id,
            "usd": usd,
            "version": token.version,
            "observedAt": token.observed_at,
            "origins": [quote["origin"] for quote in by_name],
            "market": latest_market(by_name),
        }
        return Outcome.one("published", (f"price:{contract_id}", value))


def apart(one: Decimal, other: Decimal) -> Fraction:
    """Return how many times larger one price is than the other."""
    return Fraction(max(one, other)) / Fraction(min(one, other))


def cut(usd: str) -> str:
    """Return a price as records write it, with 18 places."""
    text = format(Decimal(usd).quantize(Decimal("1e-18"), context=FIFTY), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


class PricesV1:
    """What is known of every token's price, in generation 1."""

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
