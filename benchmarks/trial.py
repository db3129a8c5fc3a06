"""Runs one measured thing in a process of its own and reads what it cost.

A trial is a function ``async def name(args: dict) -> int`` in a module of this package;
it returns how many things it did and may call ``start()`` when its set-up is done. CPU is
that of the process, children and threads included, between ``start()`` and its return.
"""

import asyncio
import importlib
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks import ROOT
from runtime.garbage import rare_collections


@dataclass(frozen=True, slots=True)
class Cost:
    """What one run of a trial cost."""

    count: int
    cpu_s: float
    wall_s: float
    extra: dict[str, float]

    @property
    def per_cpu_s(self) -> float:
        """Things done per second of CPU."""
        return self.count / self.cpu_s

    @property
    def per_wall_s(self) -> float:
        """Things done per second."""
        return self.count / self.wall_s


class TrialFailed(Exception):
    """The trial's process failed; its last words are the text."""


_started: tuple[float, float] = (0.0, 0.0)
EXTRA: dict[str, float] = {}


def cpu_s() -> float:
    """Return the CPU this process and its ended children have used."""
    parts = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(
        usage.ru_utime + usage.ru_stime for usage in map(resource.getrusage, parts)
    )


def start() -> None:
    """Begin to count: the set-up is done."""
    global _started  # noqa: PLW0603 - one trial a process
    _started = (cpu_s(), time.perf_counter())


def run_trial(
    name: str, args: dict[str, Any], *, python: str = sys.executable, cpu: int = 0
) -> Cost:
    """Run ``module.function`` in a process pinned to one core."""
    command = [python, "-m", "benchmarks.trial", name, json.dumps(args)]

    def pin() -> None:
        os.sched_setaffinity(0, {cpu})

    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=pin,
    )
    if done.returncode:
        raise TrialFailed(f"{name}: {done.stderr[-2_000:]}")
    cost = json.loads(done.stdout.splitlines()[-1])
    return Cost(cost["count"], cost["cpu_s"], cost["wall_s"], cost["extra"])


def alternate(
    ours: tuple[str, dict[str, Any]], peer: tuple[str, dict[str, Any]], *, rounds: int
) -> tuple[list[Cost], list[Cost]]:
    """Run both in turn, so that a machine that drifts drifts for both."""
    pairs = [(run_trial(*ours), run_trial(*peer)) for _ in range(rounds)]
    return [a for a, _ in pairs], [b for _, b in pairs]


def median_cpu_us(costs: Sequence[Cost]) -> float:
    """Return the median CPU of one thing, in microseconds."""
    return statistics.median(cost.cpu_s / cost.count for cost in costs) * 1e6


def main() -> None:
    """Run the trial named on the command line and print its cost as JSON."""
    module, _, function = sys.argv[1].rpartition(".")
    trial = getattr(importlib.import_module(f"benchmarks.{module}"), function)
    from benchmarks import trial as shared  # noqa: PLC0415 - the copy trials import

    # As in every service; peers have the same.
    with rare_collections():
        shared.start()
        count = asyncio.run(trial(json.loads(sys.argv[2])))
    cpu, wall = shared._started  # noqa: SLF001 - the other copy of this module
    cost = {
        "count": count,
        "cpu_s": cpu_s() - cpu,
        "wall_s": time.perf_counter() - wall,
        "extra": shared.EXTRA,
    }
    print(json.dumps(cost))


if __name__ == "__main__":
    main()
