"""``stacks-feed doctor``: check everything and say what to do."""

import argparse
import asyncio

import orjson
from rich.text import Text

from app.checks import Finding, Health, findings
from app.commands.service import overrides
from app.settings import Settings, read
from app.terminal import Terminal
from runtime.clock import SystemClock

_STYLES = {Health.WELL: "green", Health.LOOK: "yellow", Health.WRONG: "bold red"}


def run(arguments: argparse.Namespace) -> int:
    """Check; 1 if something is wrong. Wrong settings are reported before any check."""
    settings = read(overrides(arguments))
    found = asyncio.run(_check(settings, quiet=arguments.json))
    if arguments.json:
        print(_as_json(found))
    return 1 if any(each.health is Health.WRONG for each in found) else 0


async def _check(settings: Settings, *, quiet: bool) -> list[Finding]:
    console, found = Terminal(highlight=False), []
    async for finding in findings(settings, clock=SystemClock()):
        found.append(finding)
        if not quiet:
            console.print(text_of(finding), soft_wrap=True)
    return found


def text_of(finding: Finding) -> Text:
    """Return a finding as a line, and what to do as one below it."""
    text = Text.assemble(
        (f"{finding.health.value:6}", _STYLES[finding.health]),
        f"{finding.name:10} {finding.found}",
    )
    if finding.advice:
        text.append(f"\n      → {finding.advice}", style="dim")
    return text


def _as_json(found: list[Finding]) -> str:
    return orjson.dumps(
        [
            {
                "check": each.name,
                "health": each.health.value,
                "found": each.found,
                "advice": each.advice,
            }
            for each in found
        ],
        option=orjson.OPT_INDENT_2,
    ).decode()
