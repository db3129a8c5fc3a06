"""``stacks-feed backfill``: write files of history into the raw topics."""

import argparse
import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import orjson
from rich.console import Console
from rich.progress import Progress as Bars

from app.bootstrap import Opened, open_checked
from app.commands.service import overrides
from app.errors import OperatorError
from app.settings import Settings, read
from eventlog.port import LogError
from ingest.backfill import (
    Backfill,
    BackfillConfig,
    BackfillRefused,
    BackfillReport,
    BackfillStopped,
    Progress,
    planned,
)
from ingest.core.history_plan import FileReport, RefusedRows
from ingest.core.history_rows import RowRules, Severity, TimeUnit
from runtime.clock import SystemClock

_SHOWN = 20
_SHOWN_IN_JSON = 1_000
_PHASES = {
    "read": "reading files",
    "scan": "comparing with the log",
    "sort": "sorting",
    "write": "writing",
}


def run(arguments: argparse.Namespace) -> int:
    """Read the files, say what is to be done, do it; 0 if every row is in the log."""
    settings = read(overrides(arguments))
    running = _Run(settings, arguments)
    try:
        asyncio.run(running.run())
    except KeyboardInterrupt:
        running.say_how_far("interrupted")
        raise
    return 0 if running.is_complete else 1


class _Run:
    """One run of the command: what it was told, and how far it has come."""

    def __init__(self, settings: Settings, arguments: argparse.Namespace) -> None:
        self._settings = settings
        self._files: list[Path] = arguments.files
        self._unit = None if arguments.unit == "auto" else TimeUnit(arguments.unit)
        self._skip_bad: bool = arguments.skip_bad
        self._dry_run: bool = arguments.dry_run
        self._as_json: bool = arguments.json
        self._report: BackfillReport | None = None

    @property
    def is_complete(self) -> bool:
        """Whether no row was refused that was not allowed to be."""
        report = self._report
        if report is None or report.refused:
            return False
        return self._skip_bad or not report.bad

    async def run(self) -> None:
        """Plan, say so, and write unless there is a reason not to."""
        clock = SystemClock()
        async with open_checked(self._settings, clock=clock) as opened:
            config = self._config(opened, now_ms=clock.now_ms())
            try:
                await self._run(opened, config)
            except BackfillRefused as error:
                raise OperatorError(f"{error}; nothing was written") from None

    def _config(self, opened: Opened, *, now_ms: int) -> BackfillConfig:
        tolerance_ms = round(self._settings.future_tolerance_s * 1_000)
        rules = RowRules(
            network=opened.identity.network,
            latest_ms=now_ms + tolerance_ms,
            unit=self._unit,
            future_tolerance_ms=tolerance_ms,
        )
        return BackfillConfig(opened.identity.partitions, rules, self._skip_bad)

    async def _run(self, opened: Opened, config: BackfillConfig) -> None:
        with _bars() as bars:
            planning = planned(opened.log, self._files, config, progress=bars.show)
            async with planning as backfill:
                report = self._report = backfill.report
                bars.stop()
                if not self._as_json:
                    _print(plan_in_words(report))
                await self._write(backfill, bars)
                bars.stop()
                if self._as_json:
                    _print(_as_json(report, dry_run=self._dry_run))
                elif not self._dry_run:
                    _print(f"{_count(report.written, 'row')} written")

    async def _write(self, backfill: Backfill, bars: "_Bars") -> None:
        report = backfill.report
        if backfill.is_blocked:
            if self._as_json:
                _print(_as_json(report, dry_run=self._dry_run))
            raise BackfillRefused(why_blocked(report))
        if self._dry_run:
            return
        bars.start()
        try:
            await backfill.write()
        except (LogError, BackfillStopped):
            self.say_how_far("stopped")
            raise

    def say_how_far(self, how: str) -> None:
        """Say on stderr what of the plan was done, if there is a plan."""
        report = self._report
        if report is None:
            print(f"{how}: nothing was written", file=sys.stderr)
            return
        print(
            f"{how}: {report.written:,} of {report.to_write:,} rows are surely written; "
            "the same command goes on from there",
            file=sys.stderr,
        )


def _print(text: str) -> None:
    print(text, flush=True)


class _Bars(NamedTuple):
    """Bars on stderr; stopped while anything is printed, which they would take over."""

    show: Progress
    start: Callable[[], None]
    stop: Callable[[], None]


@contextmanager
def _bars() -> Iterator[_Bars]:
    """Show a bar for each phase on stderr; nothing where that is no terminal."""
    console = Console(stderr=True)
    with Bars(console=console, disable=not console.is_terminal) as bars:
        tasks = {
            phase: bars.add_task(text, total=None) for phase, text in _PHASES.items()
        }

        def show(phase: str, done: int, total: int) -> None:
            bars.update(tasks[phase], completed=done, total=total)

        yield _Bars(show, bars.start, bars.stop)


# ---- in words


def plan_in_words(report: BackfillReport) -> str:
    """Say what the files hold, what is refused and why, and what is to be written."""
    lines = [_file_in_words(file) for file in report.files[:_SHOWN]]
    if len(report.files) > _SHOWN:
        lines.append(f"and {len(report.files) - _SHOWN} more files; --json names them")
    for severity, word in ((Severity.LEFT_OUT, "left out"), (Severity.BAD, "bad")):
        refused = _refused(report, severity)
        lines += [f"{word}: {refused_in_words(*each)}" for each in refused[:_SHOWN]]
        if len(refused) > _SHOWN:
            lines.append(f"{word}: and {len(refused) - _SHOWN} more; --json names them")
    lines += _refused_keys_in_words(report)
    lines.append(
        f"{_count(report.lines, 'row')} of {_count(report.keys, 'key')}: {report.to_write:,} to write, "
        f"{report.in_log:,} already in the log, {report.bad:,} bad, "
        f"{report.refused:,} refused"
        + (f", {report.left_out:,} left out" if report.left_out else "")
        + (f", {report.repeated:,} repeated" if report.repeated else "")
    )
    return "\n".join(lines)


def _file_in_words(file: FileReport) -> str:
    said = f"{file.name}: {_count(file.rows, 'row')}"
    if file.first_ms is None or file.last_ms is None:
        return said
    said += f" of {_count(file.keys, 'key')}"
    said += f", {_time(file.first_ms)} to {_time(file.last_ms)}"
    return f"{said} ({file.unit.in_words})" if file.unit else said


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _time(time_ms: int) -> str:
    at = datetime.fromtimestamp(time_ms / 1_000, UTC)
    return f"{at.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"


def _refused(
    report: BackfillReport, severity: Severity
) -> list[tuple[FileReport, RefusedRows]]:
    """Return what is refused in all files; with what is bad comes what is fatal, first."""
    wanted = [Severity.FATAL, severity] if severity is Severity.BAD else [severity]
    return [
        (file, rows)
        for each in wanted
        for file in report.files
        for rows in file.refused
        if rows.first.severity is each
    ]


def refused_in_words(file: FileReport, rows: RefusedRows) -> str:
    """Say where the first of some rows is, why they are refused, and how many there are."""
    first = rows.first
    said = f"{file.name}:{rows.line}: {first.reason}"
    said += f": {first.value}" if first.value else ""
    said += f" ({rows.rows:,} rows)" if rows.rows > 1 else ""
    return f"{said}; {first.remedy}" if first.remedy else said


def _refused_keys_in_words(report: BackfillReport) -> list[str]:
    keys = report.refused_keys
    lines = [
        f"refused: {topic} {key}: the log has newer observations, up to "
        f"{_time(newest_ms)}; the first row is of {_time(first_ms)}"
        for topic, key, first_ms, newest_ms in keys[:_SHOWN]
    ]
    if len(keys) > _SHOWN:
        lines.append(f"refused: and {len(keys) - _SHOWN} more; --json names them")
    if keys:
        lines.append(
            "Refused keys already have newer observations: history goes into a log "
            "before live data does."
        )
    return lines


def why_blocked(report: BackfillReport) -> str:
    """Say in one line what is bad first, and what can be done."""
    found = _refused(report, Severity.BAD)
    said = refused_in_words(*found[0])
    if len(found) > 1:
        said += f", and {len(found) - 1} more reasons above"
    remedy = "" if report.fatal else "; correct them, or leave them out with --skip-bad"
    return said + remedy


def _as_json(report: BackfillReport, *, dry_run: bool) -> str:
    bad = [refused_in_words(*each) for each in _refused(report, Severity.BAD)]
    return orjson.dumps(
        {
            "dryRun": dry_run,
            "lines": report.lines,
            "keys": report.keys,
            "toWrite": report.to_write,
            "written": report.written,
            "inLog": report.in_log,
            "bad": report.bad,
            "refused": report.refused,
            "leftOut": report.left_out,
            "repeated": report.repeated,
            "badLines": bad[:_SHOWN_IN_JSON],
            "refusedKeys": [(key.topic, key.key) for key in report.refused_keys],
            "files": [_file_as_json(file) for file in report.files],
        }
    ).decode()


def _file_as_json(file: FileReport) -> dict[str, Any]:
    return {
        "file": file.name,
        "rows": file.rows,
        "keys": file.keys,
        "first": file.first_ms,
        "last": file.last_ms,
        "unit": file.unit.value if file.unit else None,
        "refused": [
            {
                "reason": rows.first.reason,
                "kind": rows.first.severity.value,
                "rows": rows.rows,
                "line": rows.line,
                "value": rows.first.value,
            }
            for rows in file.refused
        ],
    }
