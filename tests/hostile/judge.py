"""What must hold of ingest while its upstreams are hostile, as functions of what was seen."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from tests.hostile.upstreams import Served

MAX_RSS_MB = 250.0


@dataclass(frozen=True)
class Rules:
    """``slack_s`` is what a busy machine may add before a state counts as wrong."""

    interval_s: float
    window_s: float
    slack_s: float


@dataclass(frozen=True)
class Sample:
    """Ingest at one moment. ``silent`` are the sources that a side says are silent."""

    now_s: float
    rss_mb: float
    silent_by_health: frozenset[str]
    silent_by_metrics: frozenset[str]


def late(moments_ms: Sequence[int], rules: Rules) -> list[str]:
    """Return where the good source was read later than twice its interval."""
    most_ms = 2 * rules.interval_s * 1_000
    return [
        f"the good source was not read for {(after - before) / 1_000:.1f} s"
        for before, after in pairwise(moments_ms)
        if after - before > most_ms
    ]


def wrong_states(
    sample: Sample, sources: dict[str, Served], rules: Rules, *, judged: frozenset[str]
) -> list[str]:
    """Return which sources are shown otherwise than they are."""
    flaws = []
    for name in sorted(judged & sources.keys()):
        must, may = expected(sources[name], sample.now_s, rules)
        for side, silent in (
            ("/health/ready", sample.silent_by_health),
            ("/metrics", sample.silent_by_metrics),
        ):
            if must and name not in silent:
                flaws.append(f"{name} is silent, and {side} does not say so")
            if not may and name in silent:
                flaws.append(f"{name} answers, and {side} says it is silent")
    return flaws


def expected(source: Served, now_s: float, rules: Rules) -> tuple[bool, bool]:
    """Return whether a source must be, and whether it may be, shown as silent."""
    must = (
        source.asked_s is not None
        and now_s > source.asked_s + rules.window_s + rules.slack_s
    )
    heard_s = source.good_s
    may = heard_s is None or not (
        heard_s + rules.slack_s < now_s < heard_s + rules.window_s - rules.slack_s
    )
    return must, may
