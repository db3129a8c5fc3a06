"""``stacks-feed ingest|processor|edge|simulator``: run one service until it is stopped."""

import argparse
import asyncio
from functools import partial

from app.bootstrap import opened_service
from app.configs import stop_s
from app.errors import OPERATIONAL
from app.parent import until_parent_is_gone
from app.settings import Settings, read
from runtime import logs
from runtime.clock import SystemClock
from runtime.garbage import rare_collections
from runtime.supervisor import STOP_DEADLINE_S, Service, log_failure, supervise


def overrides(arguments: argparse.Namespace) -> dict[str, object]:
    """Return the settings given on the command line."""
    given = {
        name: getattr(arguments, name, None)
        for name in ("log", "live", "port", "workers", "audit_from")
    }
    return {name: value for name, value in given.items() if value is not None}


def run(arguments: argparse.Namespace) -> int:
    """Run the service named on the command line; return the exit code."""
    settings = read(overrides(arguments))
    logs.configure(arguments.command, level=settings.log_level)
    starting = Starting(arguments.command, settings)
    watched = arguments.with_parent
    services = [Service("parent", until_parent_is_gone)] if watched else []
    report = log_operational if watched else starting.report
    supervised = supervise(
        [*services, Service(starting.name, starting.run)],
        report=report,
        deadline_s=stop_s(settings) if starting.name == "edge" else STOP_DEADLINE_S,
    )
    with rare_collections():
        code = asyncio.run(supervised)
    if starting.trouble is not None:
        raise starting.trouble
    return code


class Starting:
    """A service from its start: until it runs, what is wrong is for who started it.

    That is one line on stderr; a service that runs, or a child among its siblings, says
    it in its log.
    """

    def __init__(self, name: str, settings: Settings) -> None:
        self.name = name
        self.trouble: Exception | None = None
        self._settings = settings
        self._started = False

    async def run(self) -> None:
        """Open what the service needs and run it until it is cancelled."""
        async with opened_service(
            self.name, self._settings, clock=SystemClock()
        ) as running:
            self._started = True
            await running()

    def report(self, name: str, error: Exception) -> None:
        """Keep what stopped the start; log the rest."""
        if self._started:
            log_operational(name, error)
        else:
            self.trouble = error


log_operational = partial(log_failure, operational=OPERATIONAL)
