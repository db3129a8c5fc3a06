"""All that the raw topics of a log lead to: the fold once more, clear and slow."""

import base64
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tests.support.oracle.balances import Balances
from tests.support.oracle.outcome import Outcome
from tests.support.oracle.prices import Prices, PricesV1
from tests.support.oracle.reading import Unfit, read
from tests.support.oracle.text import canonical
from tests.support.oracle.tokens import Tokens

PRICES, BALANCES, TOKENS = "prices.raw", "balances.raw", "tokens.raw"
TOPICS = (PRICES, BALANCES, TOKENS)
MAX_ORIGINAL_BYTES = 65_536
MAX_KEY_BYTES = 1_024
DEFAULTS: dict[str, Any] = {
    "priceMaxAgeMs": 900_000,
    "priceDeviation": "0",
    "futureToleranceMs": 60_000,
    "tokenSources": ["contract", "charisma", "hiro", "known"],
    "priceFrozenMs": 3_600_000,
    "priceJumpFactor": 10,
}


class RawRecord(NamedTuple):
    """One record of a raw topic as it stands in the log."""

    offset: int
    time_ms: int
    key: bytes | None
    value: bytes | None


# (topic, partition) to its records in order of offset.
Raw = Mapping[tuple[str, int], Sequence[RawRecord]]


@dataclass
class Derived:
    """What one shard writes, in order: as if it had read each topic in one commit."""

    changes: list[tuple[bytes, bytes | None]] = field(default_factory=list)
    rejects: list[tuple[bytes | None, bytes]] = field(default_factory=list)
    decisions: Counter[str] = field(default_factory=Counter)

    def per_key(self) -> dict[bytes, list[bytes | None]]:
        """Return the published values of each key, in order."""
        found: dict[bytes, list[bytes | None]] = {}
        for key, value in self.changes:
            found.setdefault(key, []).append(value)
        return found


def derive(
    raw: Raw, settings: Mapping[str, Any], *, generation: int = 2
) -> dict[int, Derived]:
    """Fold the raw topics of every partition; ``settings`` by their names in JSON."""
    return {
        partition: derive_shard(raw, partition, dict(settings), generation=generation)
        for partition in sorted({partition for _, partition in raw})
    }


def derive_shard(
    raw: Raw, partition: int, settings: dict[str, Any], *, generation: int = 2
) -> Derived:
    """Fold the raw topics of one partition."""
    fold, derived = Fold(settings, generation=generation), Derived()
    for topic in TOPICS:
        for record in raw.get((topic, partition), ()):
            origin = [topic, partition, record.offset]
            outcome, bad_field = fold.one(topic, record, origin)
            note(derived, topic, outcome)
            if outcome.reason is not None:
                reject = rejected(record, origin, outcome.reason, bad_field)
                derived.rejects.append(reject)
    return derived


class Fold:
    """The state of one shard."""

    def __init__(self, settings: dict[str, Any], *, generation: int = 2) -> None:
        self.settings = settings
        self.prices = PricesV1(settings) if generation == 1 else Prices(settings)
        self.tokens = Tokens(settings)
        self.balances = Balances(generation)

    def one(
        self, topic: str, record: RawRecord, origin: list[Any]
    ) -> tuple[Outcome, str]:
        """Fold one record; return what came of it, and the field that did not fit."""
        try:
            seen = read(topic, record.value)
        except Unfit as unfit:
            return Outcome.refused("schema"), unfit.field
        whose = seen["userId" if topic == BALANCES else "contractId"]
        if record.key != whose.encode():
            return Outcome.refused("schema"), "key"
        if seen["observedAt"] > record.time_ms + self.settings["futureToleranceMs"]:
            return Outcome.refused("future"), ""
        return self.applied(topic, seen, origin, record.value or b""), ""

    def applied(
        self, topic: str, seen: dict[str, Any], origin: list[Any], value: bytes
    ) -> Outcome:
        if topic == PRICES:
            return self.prices.fold(seen, origin)
        if topic == TOKENS:
            return self.tokens.fold(seen, origin)
        return self.balances.fold(seen, origin, value)


def note(derived: Derived, topic: str, outcome: Outcome) -> None:
    kind = topic.removesuffix(".raw")
    derived.decisions.update(f"{kind}.{decision}" for decision in outcome.decisions)
    for key, value in outcome.published:
        derived.changes.append((key.encode(), canonical(value) if value else None))


def rejected(
    record: RawRecord, origin: list[Any], reason: str, bad_field: str
) -> tuple[bytes | None, bytes]:
    value = record.value or b""
    reject = {
        "schema": "reject/1",
        "origin": origin,
        "reason": reason,
        "field": bad_field,
        "original": base64.b64encode(value[:MAX_ORIGINAL_BYTES]).decode(),
        "size": len(value),
    }
    key = None if record.key is None else record.key[:MAX_KEY_BYTES]
    return key, canonical(reject)
