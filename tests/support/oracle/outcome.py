"""What a fold says of one observation."""

from dataclasses import dataclass, field
from typing import Any

MAX_SOURCES = 64
MAX_SUBNETS = 1_000

# A key of the public table and what it holds now; nothing for a tombstone.
Published = tuple[str, dict[str, Any] | None]
Moment = tuple[int, int]


@dataclass
class Outcome:
    """Decisions, one a part, and the values published; or the reason of a refusal."""

    decisions: list[str] = field(default_factory=list)
    published: list[Published] = field(default_factory=list)
    reason: str | None = None

    @classmethod
    def one(cls, decision: str, *published: Published) -> "Outcome":
        return cls([decision], list(published))

    @classmethod
    def refused(cls, reason: str) -> "Outcome":
        return cls(["rejected"], reason=reason)


def moment_of(seen: dict[str, Any]) -> Moment:
    """Return when an observation was made."""
    return seen["observedAt"], seen["sequence"]
