"""The cases of ``ask``: how long questions take as the log grows."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.results import Result
from benchmarks.trial import Cost, run_trial
from benchmarks.year import ACCOUNTS, TOKENS

GOAL_S = 1.0
_QUESTIONS = {
    "explain a price": ("asking.explain_prices", GOAL_S),
    "explain a balance": ("asking.explain_balances", GOAL_S),
    "as-of": ("asking.as_of", None),
}


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
    for question, (trial, goal) in _QUESTIONS.items():
        cost: Cost = run_trial(trial, told)
        yield Result(
            name=f"{name}: {question}",
            value=cost.extra["median_s"],
            unit="seconds, median",
            goal=goal,
            of="value",
        )
