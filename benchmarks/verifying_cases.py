"""The cases of ``verify``: observations a CPU second, and what they are spent on."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.folding_cases import per_cpu_s
from benchmarks.results import Result
from benchmarks.trial import Cost, run_trial

_LONGER = 4
_MEMORY_GOAL = 1.1


def verified(
    name: str, log: dict[str, Any], *, count: int, rounds: int, goal: float
) -> list[Result]:
    """Measure the verification of ``count`` observations that are folded in a log."""
    told = {**log, "count": count}
    run_trial("folding.fill", told)
    run_trial("folding.fold", told)
    costs = [run_trial("verifying.verify", told) for _ in range(rounds)]
    parts = [run_trial("verifying.parts", told).extra for _ in range(rounds)]
    whole = Result(
        name=f"{name} verify",
        value=per_cpu_s(costs),
        unit="observations a CPU second",
        goal=goal,
        bound="at least",
        of="value",
    )
    rows = [_share(name, part, share) for part, share in shares(parts)]
    return [whole, *rows, _memory(name, log, costs)]


def _memory(name: str, log: dict[str, Any], costs: Sequence[Cost]) -> Result:
    """Verify a log some times as long: it must not take more memory."""
    peak_mb = statistics.median(cost.extra["peak_mb"] for cost in costs)
    count = _LONGER * costs[0].count
    where = "sqlite" if "sqlite" in log else "prefix"
    told = {**log, where: f"{log[where]}long-", "count": count}
    run_trial("folding.fill", told)
    run_trial("folding.fold", told)
    longer_mb = run_trial("verifying.verify", told).extra["peak_mb"]
    return Result(
        name=f"{name} verify",
        value=longer_mb,
        unit=f"MB at most, for {count:,} observations",
        goal=_MEMORY_GOAL,
        peer=f"{costs[0].count:,} observations, {peak_mb:,.0f}",
        ratio=longer_mb / peak_mb,
    )


def _share(name: str, part: str, share: float) -> Result:
    return Result(name=f"{name} verify: {part}", value=share, unit="% of the CPU")


def shares(rounds: Sequence[Mapping[str, float]]) -> list[tuple[str, float]]:
    """Return what each part takes of the whole, in percent: the median of the rounds.

    The parts were measured one inside the other: folding hashes and decodes, and all but
    reading folds.
    """
    alone = [
        {
            "reading": spent["read"],
            "hashing": spent["hash"],
            "decoding": spent["decode"],
            "folding": spent["fold"] - spent["hash"] - spent["decode"],
            "comparing": spent["all but reading"] - spent["fold"],
        }
        for spent in rounds
    ]
    return [
        (
            part,
            statistics.median(100 * one[part] / sum(one.values()) for one in alone),
        )
        for part in alone[0]
    ]
