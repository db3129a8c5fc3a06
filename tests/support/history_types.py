"""An observation of the past, as a line of a file holds it."""

import json
from dataclasses import dataclass
from typing import Any

from tests.support.oracle.text import canonical

# Of a price in a CSV file these are not said, and so written as null.
_UNSAID = {"sourceTime": None, "market": None}


@dataclass(frozen=True, slots=True)
class Observation:
    """One raw record: where it belongs, its bytes, and what they say."""

    topic: str
    key: bytes
    value: bytes
    observed_at: int
    sequence: int

    @property
    def fields(self) -> dict[str, Any]:
        """What the value says."""
        said: dict[str, Any] = json.loads(self.value)
        return said


def observation(kind: str, **fields: Any) -> Observation:
    """Return an observation of a kind; ``schema`` and topic follow from it."""
    topic = TOPICS[kind]
    unsaid = _UNSAID if kind == "price.observed" else {}
    whose = fields["userId"] if topic == "balances.raw" else fields["contractId"]
    value = canonical({"schema": f"{kind}/1", **unsaid, **fields})
    return Observation(
        topic, whose.encode(), value, fields["observedAt"], fields["sequence"]
    )


TOPICS = {
    "price.observed": "prices.raw",
    "token.observed": "tokens.raw",
    "account.read": "balances.raw",
    "account.confirmed": "balances.raw",
    "subnet.read": "balances.raw",
    "user.forgotten": "balances.raw",
}
