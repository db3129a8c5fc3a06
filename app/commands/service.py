"""``stacks-feed ingest|processor|edge|simulator``: run one service until it is stopped."""

import argparse
import asyncio

from app.bootstrap import run_service
from app.errors import OPERATIONAL
from app.parent import until_parent_is_gone
from app.settings import Settings, read
from runtime import logs
from runtime.clock import SystemClock
from runtime.supervisor import Service, supervise


def overrides(arguments: argparse.Namespace) -> dict[str, object]:
    """Return the settings given on the command line."""
    given = {name: getattr(arguments, name, None) for name in ("log", "live", "port")}
    return {name: value for name, value in given.items() if value is not None}


def run(arguments: argparse.Namespace) -> int:
    """Run the service named on the command line; return the exit code."""
    settings = read(overrides(arguments))
    logs.configure(arguments.command, level=settings.log_level)
    services = [service_of(arguments.command, settings)]
    if arguments.with_parent:
        services.insert(0, Service("parent", until_parent_is_gone))
    return asyncio.run(supervise(services, operational=OPERATIONAL))


def service_of(name: str, settings: Settings) -> Service:
    """Return a service by its name."""
    clock = SystemClock()
    return Service(name, lambda: run_service(name, settings, clock=clock))
