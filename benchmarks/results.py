"""What was measured, as a table for people and as JSON for machines."""

import json
import os
import platform
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.table import Table

from benchmarks import ROOT


@dataclass(frozen=True, slots=True)
class Result:
    """One figure. ``ratio`` is ours to the peer's; ``met`` compares it with the goal.

    ``goal`` is a bound on ``of`` (the ratio or the value): at least it or at most it.
    """

    name: str
    value: float
    unit: str
    goal: float | None = None
    bound: Literal["at least", "at most"] = "at most"
    of: Literal["ratio", "value"] = "ratio"
    peer: str | None = None
    ratio: float | None = None

    @property
    def met(self) -> bool | None:
        """Tell whether the goal was met; ``None`` without one."""
        figure = self.ratio if self.of == "ratio" else self.value
        if self.goal is None or figure is None:
            return None
        return figure >= self.goal if self.bound == "at least" else figure <= self.goal


@dataclass(frozen=True, slots=True)
class Skipped:
    """A figure that could not be taken here, and why."""

    name: str
    why: str


@dataclass(frozen=True, slots=True)
class Failed(Skipped):
    """A figure that should have been taken here, and what went wrong."""


def machine() -> str:
    """Return a line about the machine."""
    cpu = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{os.cpu_count()} x {cpu}, {memory_gib:.0f} GiB, "
        f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    )


def commit() -> str:
    """Return the commit measured, with ``+`` when there are changes on top."""

    def git(*words: str) -> str:
        asked = subprocess.run(
            ["git", *words], cwd=ROOT, capture_output=True, text=True, check=False
        )
        return asked.stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no", "--", "*.py")
    return git("rev-parse", "--short", "HEAD") + ("+" if changed else "")


def show(results: list[Result | Skipped]) -> None:
    """Print the table."""
    table = Table(title=f"{machine()}\ncommit {commit()}", title_justify="left")
    for column in ("name", "value", "unit", "peer", "ratio", "goal", "met"):
        table.add_column(
            column, justify="right" if column in {"value", "ratio"} else "left"
        )
    for each in results:
        table.add_row(*_row(each))
    Console(width=150).print(table)


def _row(each: Result | Skipped) -> list[str]:
    if isinstance(each, Skipped):
        how = "failed" if isinstance(each, Failed) else "skipped"
        return [each.name, "-", "", f"{how}: {each.why}", "", "", ""]
    goal = "" if each.goal is None else f"{each.of} {each.bound} {each.goal:g}"
    met = {True: "yes", False: "NO", None: ""}[each.met]
    ratio = "" if each.ratio is None else f"{each.ratio:.2f}"
    value = f"{each.value:,.0f}" if each.value >= 100 else f"{each.value:,.2f}"
    return [each.name, value, each.unit, each.peer or "", ratio, goal, met]


def as_json(results: list[Result | Skipped], *, date: str) -> str:
    """Return what ``results.json`` holds."""
    rows = [
        {**asdict(each), "met": each.met} if isinstance(each, Result) else asdict(each)
        for each in results
    ]
    whole = {"machine": machine(), "commit": commit(), "date": date, "results": rows}
    return json.dumps(whole, indent=1) + "\n"
