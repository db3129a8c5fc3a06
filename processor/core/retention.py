"""How far a shard is from losing observations to retention, and what it has lost."""

import math
from dataclasses import dataclass

# Below this share of the retention there is too little time left to be left alone.
_DANGER = 0.1


@dataclass(frozen=True, slots=True)
class Gap:
    """Observations of one input that are gone unread: ``first`` to ``last``, inclusive."""

    topic: str
    shard: int
    first: int
    last: int

    @property
    def count(self) -> int:
        """Offsets that are missing; in a raw topic each was an observation."""
        return self.last - self.first + 1

    @property
    def name(self) -> str:
        """The gap by where it begins, which stays while its end moves on."""
        return f"{self.topic}[{self.shard}]@{self.first}"


def gap_between(topic: str, shard: int, *, position: int, oldest: int) -> Gap | None:
    """Return what is missing for a shard whose next offset to read is ``position``."""
    if oldest <= position:
        return None
    return Gap(topic, shard, position, oldest - 1)


def margin_s(age_ms: int | None, *, retention_ms: int | None) -> float:
    """Return in how many seconds retention may take the next observation to read.

    ``age_ms`` is how old it is as retention counts it, ``None`` when none waits. Infinite
    when nothing can be lost; 0 or below: it may be gone at any moment.
    """
    if age_ms is None or retention_ms is None:
        return math.inf
    return (retention_ms - age_ms) / 1_000


def in_danger(margin: float, *, retention_ms: int | None) -> bool:
    """Tell whether less than a tenth of the retention is left."""
    return retention_ms is not None and margin < _DANGER * retention_ms / 1_000
