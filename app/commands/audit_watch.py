"""``stacks-feed audit watch``: verify as the log grows, until stopped or a difference."""

import argparse
import asyncio
import os
import sys
from functools import partial

from app.audits import answering
from app.commands.service import Starting, log_operational, overrides
from app.configs import lost_before_ms
from app.errors import DIFFERENT, NotAnswered, RequestError
from app.moments import resolved
from app.parent import until_parent_is_gone
from app.settings import Settings, read
from audit.core.difference import DifferenceFound
from runtime import logs
from runtime.clock import SystemClock
from runtime.supervisor import Service, leaves, supervise

_NICENESS = 10
_AHEAD_MS = 60_000


def run(arguments: argparse.Namespace) -> int:
    """Follow the log; 1 once it is not what was derived, 3 for any other trouble."""
    with answering():
        settings = _settings(arguments)
    logs.configure("audit", level=settings.log_level)
    starting = Starting("audit", settings)
    watched = arguments.with_parent
    if watched:
        # Whoever has a long history to verify must not be in the way of the feed.
        os.nice(_NICENESS)
    services = [Service("parent", until_parent_is_gone)] if watched else []
    found: list[DifferenceFound] = []
    report = partial(_report, starting, found, is_child=watched)
    code = asyncio.run(
        supervise([*services, Service(starting.name, starting.run)], report=report)
    )
    if found:
        # A child among its siblings has said it in its log.
        if not watched:
            print(f"stacks-feed audit: {found[0]}", file=sys.stderr)
        return DIFFERENT
    if starting.trouble is not None:
        with answering():
            raise starting.trouble
    return NotAnswered.exit_code if code else 0


def _settings(arguments: argparse.Namespace) -> Settings:
    """Return the settings; raise ``RequestError`` for a time that has not come yet."""
    given, now_ms = overrides(arguments), SystemClock().now_ms()
    text = arguments.audit_from
    if text == "now":
        # The clock of a broker may be a little ahead of ours.
        return read({**given, "audit_from": f"{now_ms + _AHEAD_MS}"})
    if text is not None:
        given["audit_from"] = resolved(text, now_ms)
    settings = read(given)
    if (lost_before_ms(settings) or 0) > now_ms:
        raise RequestError("--from: that is in the future; give a time that has passed")
    return settings


def _report(
    starting: Starting,
    found: list[DifferenceFound],
    name: str,
    error: Exception,
    *,
    is_child: bool,
) -> None:
    differences = [leaf for leaf in leaves(error) if isinstance(leaf, DifferenceFound)]
    found += differences
    if not differences and is_child:
        log_operational(name, error)
    elif not differences:
        starting.report(name, error)
