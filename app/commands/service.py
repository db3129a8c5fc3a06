"""``stacks-feed ingest|processor|edge|simulator``: run one service until it is stopped."""

import argparse
import asyncio
import logging

from app.bootstrap import opened_service
from app.errors import OPERATIONAL, in_one_line
from app.parent import until_parent_is_gone
from app.settings import Settings, read
from runtime import logs
from runtime.clock import SystemClock
from runtime.supervisor import Exit, Service, supervise

logger = logging.getLogger(__name__)


def overrides(arguments: argparse.Namespace) -> dict[str, object]:
    """Return the settings given on the command line."""
    given = {name: getattr(arguments, name, None) for name in ("log", "live", "port")}
    return {name: value for name, value in given.items() if value is not None}


def run(arguments: argparse.Namespace) -> int:
    """Run the service named on the command line; return the exit code."""
    settings = read(overrides(arguments))
    logs.configure(arguments.command, level=settings.log_level)
    running = _run(arguments.command, settings, with_parent=arguments.with_parent)
    try:
        return asyncio.run(running)
    except OPERATIONAL as error:
        if not arguments.with_parent:
            raise
        # Among the log lines of its siblings it must be one of them.
        logger.error("service failed", extra={"error": in_one_line(error)})  # noqa: TRY400 - no bug, no traceback
        return Exit.FAILED


async def _run(name: str, settings: Settings, *, with_parent: bool) -> Exit:
    async with opened_service(name, settings, clock=SystemClock()) as running:
        services = [Service("parent", until_parent_is_gone)] if with_parent else []
        return await supervise(
            [*services, Service(name, running)], operational=OPERATIONAL
        )
