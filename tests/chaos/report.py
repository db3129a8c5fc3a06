"""``python -m tests.chaos.report``: the runs that were kept, as the table of the docs."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.chaos.judge import WRONG
from tests.chaos.plan import DECKS, Fault, plan
from tests.support.shared_data import ROOT

RESULTS = ROOT / "tests" / "chaos" / "results.jsonl"
DOC = ROOT / "docs" / "reliability.md"
_BEGIN, _END = "<!-- runs: begin -->", "<!-- runs: end -->"
_FIGURES = ("faults", "observations", "published", *WRONG, "findings")
_COLUMNS = ("log", "seed", "minutes", *_FIGURES, "commit")


def table(results: Iterable[Mapping[str, Any]]) -> str:
    """Return the runs as a table, the same for the same runs in any order."""
    heads = [*_COLUMNS, "verdict"]
    ordered = sorted(results, key=lambda one: (one["log"], one["seed"], one["minutes"]))
    rows = [
        heads,
        ["---"] * len(heads),
        *(
            [
                *(_figure(one[name]) for name in _COLUMNS),
                "ok" if one["ok"] else "damaged",
            ]
            for one in ordered
        ),
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def faults(results: Iterable[Mapping[str, Any]]) -> str:
    """Return how often the runs that were not damaged met each fault, as a table.

    A seed has the same plan each time; of the answers meddled with each request is named.
    """
    met: dict[str, Counter[str]] = {log: Counter() for log in sorted(DECKS)}
    for one in results:
        if one["ok"]:
            planned = plan(one["seed"], one["minutes"], one["log"])
            met[one["log"]].update(map(_named, planned.faults))
    names = sorted({name for counts in met.values() for name in counts})
    rows = [
        ["fault survived", *met],
        ["---"] * (len(met) + 1),
        *([name, *(f"{counts[name]}" for counts in met.values())] for name in names),
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _named(fault: Fault) -> str:
    request = fault.request
    return fault.kind.value + (f": {request.name}" if request else "")


def written(results: Sequence[Mapping[str, Any]]) -> str:
    """Return what the docs say of the runs."""
    return f"{faults(results)}\n\n{table(results)}"


def _figure(value: object) -> str:
    is_count = isinstance(value, int) and value >= 10_000
    return f"{value:,}" if is_count else f"{value}"


def results_in(path: Path) -> Sequence[Mapping[str, Any]]:
    """Return the results that runs appended to a file."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def with_table(text: str, rows: str) -> str:
    """Return a text with the table between its marks."""
    between = re.compile(f"{re.escape(_BEGIN)}.*?{re.escape(_END)}", re.DOTALL)
    found, count = between.subn(lambda _: f"{_BEGIN}\n{rows}\n{_END}", text)
    assert count == 1, "the text has no place for the table"
    return found


def main() -> None:
    text = with_table(DOC.read_text(), written(results_in(RESULTS)))
    DOC.write_text(text)


if __name__ == "__main__":
    main()
