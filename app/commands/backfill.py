"""``stacks-feed backfill``: write files of history into the raw topics."""

import argparse
import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import orjson
from rich.console import Console
from rich.progress import Progress as Bars

from app.bootstrap import open_checked
from app.commands.service import overrides
from app.errors import OperatorError
from app.settings import Settings, read
from ingest.backfill import BackfillRefused, BackfillReport, Progress, backfill
from runtime.clock import SystemClock

_SHOWN = 20


def run(arguments: argparse.Namespace) -> int:
    """Write the files; 0 if every line was written, else 1."""
    settings = read(overrides(arguments))
    report = asyncio.run(_backfill(settings, arguments.files))
    print(_as_json(report) if arguments.json else in_words(report))
    return 0 if report.written == report.lines else 1


async def _backfill(settings: Settings, files: Sequence[Path]) -> BackfillReport:
    async with open_checked(settings, clock=SystemClock()) as opened:
        with _bars() as progress:
            try:
                return await backfill(
                    opened.log,
                    files,
                    partitions=opened.identity.partitions,
                    progress=progress,
                )
            except BackfillRefused as error:
                raise OperatorError(f"{error}; nothing was written") from None


@contextmanager
def _bars() -> Iterator[Progress]:
    """Show a bar for each phase on stderr; nothing where that is no terminal."""
    console = Console(stderr=True)
    with Bars(console=console, disable=not console.is_terminal) as bars:
        tasks = {
            phase: bars.add_task(text, total=None)
            for phase, text in (("scan", "looking at the log"), ("write", "writing"))
        }

        def show(phase: str, done: int, total: int) -> None:
            bars.update(tasks[phase], completed=done, total=total)

        yield show


def in_words(report: BackfillReport) -> str:
    """Say what became of the lines."""
    bad, keys = report.bad_lines, report.refused_keys
    lines = [
        f"{report.lines} lines: {report.written} written, {report.bad} bad, "
        f"{report.refused} refused",
        *(f"bad: {line}" for line in bad[:_SHOWN]),
        *(f"refused: {topic} {key}" for topic, key in keys[:_SHOWN]),
    ]
    hidden = max(report.bad - _SHOWN, 0) + max(len(keys) - _SHOWN, 0)
    if hidden:
        lines.append(f"and {hidden} more; --json names them")
    if keys:
        lines.append(
            "Refused keys already have newer observations: history goes into a log "
            "before live data does."
        )
    return "\n".join(lines)


def _as_json(report: BackfillReport) -> str:
    return orjson.dumps(
        {
            "lines": report.lines,
            "written": report.written,
            "bad": report.bad,
            "refused": report.refused,
            "badLines": [f"{line}" for line in report.bad_lines],
            "refusedKeys": report.refused_keys,
        }
    ).decode()
