"""What several processes of one service tell, put together as if one had told it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

Report = Mapping[str, Any]


class Merged(NamedTuple):
    """Whether the service does its work, and what ``/health/ready`` says."""

    ready: bool
    body: Mapping[str, object]


def merged_metrics(texts: Mapping[str, str]) -> str:
    """Join metrics as text, by the name of the process; each sample says whose it is.

    Prometheus' text format wants what belongs to one metric in one place, with its help
    and type once before it.
    """
    heads: dict[str, dict[str, None]] = {}
    samples: dict[str, list[str]] = {}
    for process, text in texts.items():
        metric = ""
        for line in text.splitlines():
            if line.startswith("# "):
                metric = line.split(" ")[2]
                heads.setdefault(metric, {})[line] = None
            elif line:
                samples.setdefault(metric, []).append(_of(process, line))
    return "".join(f"{line}\n" for line in _lines(heads, samples))


def _lines(
    heads: Mapping[str, Mapping[str, None]], samples: Mapping[str, Sequence[str]]
) -> Iterator[str]:
    for metric, head in heads.items():
        yield from head
        yield from samples.get(metric, ())


def _of(process: str, sample: str) -> str:
    """Label a sample with its process; names of metrics hold neither brace nor space."""
    named, space, value = sample.partition(" ")
    name, brace, labels = named.partition("{")
    label = f'process="{process}"'
    if not brace:
        return f"{name}{{{label}}}{space}{value}"
    return f"{name}{{{label},{labels}{space}{value}"


def merged_reports(reports: Mapping[str, Report | None]) -> Merged:
    """Join reports of ``/health/ready``, by the name of the process; ``None``: no answer.

    The service does its work while one of them does; the others are warned of.
    """
    ready = any(report is not None and report["ready"] for report in reports.values())
    unready = [said for name in reports for said in _reasons(name, reports[name])]
    warned = [said for name in reports for said in _warnings(name, reports[name])]
    body = {
        "ready": ready,
        "reasons": [] if ready else unready,
        "warnings": [*unready, *warned] if ready else warned,
        "processes": {name: _facts(report) for name, report in reports.items()},
    }
    return Merged(ready, body)


def _reasons(name: str, report: Report | None) -> list[str]:
    if report is None:
        return [f"{name}: no answer"]
    return [f"{name}: {said}" for said in report["reasons"]]


def _warnings(name: str, report: Report | None) -> list[str]:
    return [f"{name}: {said}" for said in (report or {}).get("warnings", ())]


def _facts(report: Report | None) -> Mapping[str, object]:
    """Return what a process told beside its reasons and warnings, which are joined."""
    told = {"reasons", "warnings"}
    return {
        name: fact
        for name, fact in (report or {"ready": False}).items()
        if name not in told
    }
