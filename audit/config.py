"""Configuration of the audit watcher."""

from dataclasses import dataclass, field

from processor.core.generations import GENERATIONS, Generations


@dataclass(frozen=True, slots=True)
class WatchConfig:
    """Who this instance is among its like, and how it goes about.

    A verified snapshot is written when log time comes into another interval, and after
    so many observations. ``accepted`` names gaps in the raw topics that the operator has
    accepted. ``identity`` is the digest of the log's identity, which commits that name
    their log must have; ``None`` skips that check. ``lost_before_ms`` accepts the loss of
    history that the log took before that moment: a shard then begins at a point that it
    declares; ``None`` accepts no loss. ``settle_s`` is how long to wait for the rest of a
    commit, ``wait_s`` how long each read waits for a new commit. Every ``look_s`` it is
    told how far the journal is.
    """

    instance: str
    generations: Generations = field(default_factory=lambda: GENERATIONS)
    accepted: frozenset[str] = frozenset()
    identity: str | None = None
    lost_before_ms: int | None = None
    snapshot_interval_ms: int = 86_400_000
    snapshot_observations: int = 5_000_000
    settle_s: float = 10.0
    wait_s: float = 1.0
    look_s: float = 5.0
    backoff_s: float = 0.2
    max_backoff_s: float = 5.0
