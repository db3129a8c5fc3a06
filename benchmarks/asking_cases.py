"""The cases of ``ask``: how long questions take as the log grows."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.results import Result
from benchmarks.trial import Cost, run_trial
from benchmarks.year import ACCOUNTS, TOKENS

EXPLAIN_GOAL_S, AS_OF_GOAL_S = 1.0, 10.0
_QUESTIONS = {
    "explain a price": ("asking.explain_prices", EXPLAIN_GOAL_S),
    "explain a balance": ("asking.explain_balances", EXPLAIN_GOAL_S),
    "as-of": ("asking.as_of", AS_OF_GOAL_S),
}
_MIB = 2**20


def asked(
    name: str,
    log: dict[str, Any],
    folder: Path,
    *,
    days: Sequence[float],
    scale: float = 1.0,
) -> list[Result]:
    """Ask logs of so many days; ``scale`` is the share of the tokens and accounts."""
    found: list[Result] = []
    for number in days:
        told = {
            **{
                key: f"{value}{number:g}"
                for key, value in log.items()
                if key != "kafka"
            },
            **{key: value for key, value in log.items() if key == "kafka"},
            "days": number,
            "tokens": max(1, round(TOKENS * scale)),
            "accounts": max(1, round(ACCOUNTS * scale)),
            "index": str(folder / f"{name}-{number:g}.index"),
        }
        found += _one(f"{name} {number:g} days", told)
    return found


def _one(name: str, told: dict[str, Any]) -> Iterator[Result]:
    filled = run_trial("asking.fill", told)
    yield Result(name=name, value=filled.count, unit="observations")
    indexed = run_trial("asking.index", told)
    yield Result(
        name=f"{name}: index", value=indexed.per_cpu_s, unit="records a CPU second"
    )
    size = indexed.extra["bytes"] / filled.count
    yield Result(name=f"{name}: index", value=size, unit="bytes an observation")
    yield _memory(f"{name}: index", indexed)
    late = run_trial("asking.verify_late", told)
    verified = f"{name}: verify the last day"
    yield Result(name=verified, value=late.per_cpu_s, unit="observations a CPU second")
    yield _memory(verified, late)
    for question, (trial, goal_s) in _QUESTIONS.items():
        yield from _answered(f"{name}: {question}", run_trial(trial, told), goal_s)


def _answered(name: str, cost: Cost, goal_s: float) -> Iterator[Result]:
    extra = cost.extra
    yield Result(name=name, value=extra["median_s"], unit="seconds, median")
    yield Result(
        name=name,
        value=extra["longest_s"],
        unit="seconds, the longest",
        goal=goal_s,
        of="value",
    )
    yield Result(name=name, value=extra["longest_cpu_s"], unit="CPU seconds, the most")
    yield _memory(name, cost)


def _memory(name: str, cost: Cost) -> Result:
    return Result(name=name, value=cost.extra["rss_bytes"] / _MIB, unit="MiB at most")
