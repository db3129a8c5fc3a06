"""The cases of ``processor``: each log, and Quix Streams on the same records."""

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import new_prefix
from benchmarks.peers import NoPeer, quix_python
from benchmarks.results import Result, Skipped
from benchmarks.trial import Cost, run_trial

GOAL = 2.5
_UNIT = "observations a CPU second"


def sqlite_processor(folder: Path, *, count: int, rounds: int) -> list[Result]:
    """Measure the processor on SQLite."""
    filled = {"sqlite": str(folder / "raw.sqlite"), "count": count}
    run_trial("folding.fill", filled)
    costs = []
    for number in range(rounds):
        copied = {"sqlite": str(folder / f"folded-{number}.sqlite")}
        told = {**filled, **copied, "copy_of": filled["sqlite"]}
        costs.append(run_trial("folding.fold", told))
    return [
        Result(name="sqlite processor", value=per_cpu_s(costs), unit=_UNIT),
        Result(
            name="sqlite processor",
            value=statistics.median(cost.per_wall_s for cost in costs),
            unit="observations a second",
        ),
    ]


def kafka_processor(
    bootstrap: str, folder: Path, *, count: int, rounds: int
) -> list[Result | Skipped]:
    """Measure the processor on a broker beside Quix Streams.

    Quix Streams twice: with its states read from its own store, as its documentation
    teaches, and with all of them kept as objects besides, which its users may add.
    """
    try:
        quix = quix_python()
    except NoPeer as why:
        return [Skipped("kafka processor", str(why))]
    found: list[Result | Skipped] = []
    for cached, how in ((False, "Quix Streams"), (True, "Quix Streams, states cached")):
        ours, theirs = _rounds(
            {"kafka": bootstrap, "count": count, "cached": cached},
            folder,
            quix=quix,
            rounds=rounds,
        )
        found.append(_beside(how, ours, theirs, goal=None if cached else GOAL))
    return found


def _rounds(
    args: dict[str, Any], folder: Path, *, quix: str, rounds: int
) -> tuple[list[Cost], list[Cost]]:
    """Fold the same records by both, in turn, each time in new topics."""
    ours, theirs = [], []
    for number in range(rounds):
        name = new_prefix(f"fold-{number}")
        told = {
            **args,
            "prefix": name,
            "peer_prefix": f"{name}quix-",
            "folder": str(folder / name),
        }
        run_trial("folding.fill", told)
        ours.append(run_trial("folding.fold", told))
        theirs.append(run_trial("quix.run", told, python=quix))
        run_trial("folding.compare", told)
    return ours, theirs


def _beside(
    how: str, ours: Sequence[Cost], theirs: Sequence[Cost], *, goal: float | None
) -> Result:
    mine, peer = per_cpu_s(ours), per_cpu_s(theirs)
    return Result(
        name="kafka processor",
        value=mine,
        unit=_UNIT,
        goal=goal,
        bound="at least",
        peer=f"{how}, {peer:,.0f}",
        ratio=mine / peer,
    )


def per_cpu_s(costs: Sequence[Cost]) -> float:
    """Return the median of what was done a CPU second."""
    return statistics.median(cost.per_cpu_s for cost in costs)
