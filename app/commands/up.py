"""``stacks-feed up``: every service of one machine, in one process tree."""

import argparse
import asyncio
import logging
import os
import shutil
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from app.bootstrap import apply_topics
from app.children import Child, run_children
from app.commands.service import overrides
from app.configs import (
    edge_config,
    example_account,
    origins,
    place_of,
    stop_s,
)
from app.errors import DIFFERENT
from app.places import Broker, File
from app.ports import check_free, free_port, free_ports, local_address
from app.running import RunningSystem, noted, refuse_second_world
from app.settings import Settings, environment, read
from app.topics import Applied, in_words, refuse_harmful
from runtime import logs
from runtime.clock import SystemClock
from runtime.supervisor import Exit, Service, supervise

logger = logging.getLogger(__name__)
# The processes without HTTP of their own, in the order of their metrics ports.
_WITHOUT_HTTP = ("ingest", "processor", "audit")
# Less than it may take itself, so that it can end by force what has not stopped.
_SPARE_S = 1.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What ``up`` starts, and where. ``metrics_ports`` are those of metrics alone."""

    settings: Settings
    edge_port: int
    simulator_port: int | None
    metrics_ports: Mapping[str, int]

    @property
    def edge(self) -> str:
        """Host and port of the edge as a client on this machine reaches it."""
        return local_address(self.settings.host, self.edge_port)

    @property
    def simulator_url(self) -> str | None:
        """Where the simulator will be; ``None`` without one."""
        if self.simulator_port is None:
            return None
        return (
            f"http://{local_address(self.settings.simulator_host, self.simulator_port)}"
        )


def run(arguments: argparse.Namespace) -> int:
    """Run everything until a signal comes; return the exit code."""
    settings = read(overrides(arguments))
    logs.configure("up", level=settings.log_level)
    return asyncio.run(_up(settings))


async def _up(settings: Settings) -> Exit:
    clock = SystemClock()
    # Whatever is wrong with settings and log is told before a port that is taken.
    _check_certificate(settings)
    place = place_of(settings)
    if isinstance(place, File) and _brings_simulator(settings):
        refuse_second_world(place.path)
    applied = await apply_topics(settings, clock=clock)
    refuse_harmful(applied.drift, where=settings.log)
    plan = make_plan(settings)
    for drift in applied.drift:
        logger.warning("topic differs", extra={"drift": in_words(drift)})
    with _noted(plan):
        print(banner(plan, applied), flush=True)
        tree = Service("children", lambda: run_children(children(plan), clock=clock))
        return await supervise([tree], deadline_s=stop_s(settings))


def _check_certificate(settings: Settings) -> None:
    """Raise ``OSError`` for a certificate that the edge will not be able to read."""
    if settings.tls_certificate is not None:
        from edge.listening import tls_of  # noqa: PLC0415 - only where it is needed

        tls_of(edge_config(settings))


def _noted(plan: Plan) -> AbstractContextManager[None]:
    """Leave a note of this system where `doctor` and another `up` find it."""
    place = place_of(plan.settings)
    if not isinstance(place, File):
        return nullcontext()
    system = RunningSystem(
        pid=os.getpid(),
        edge=plan.edge,
        simulator_url=plan.simulator_url,
        metrics=metrics_addresses(plan),
    )
    return noted(place.path, system)


def make_plan(settings: Settings) -> Plan:
    """Choose the ports; raise ``OperatorError`` if the edge's is taken."""
    check_free(
        settings.host,
        settings.port,
        what="edge",
        setting="--port or STACKS_FEED_PORT, as in STACKS_FEED_PORT=2000 make up",
    )
    return Plan(
        settings=settings,
        edge_port=settings.port or free_port(settings.host),
        simulator_port=free_port(settings.simulator_host)
        if _brings_simulator(settings)
        else None,
        metrics_ports=_metrics_ports(settings),
    )


def _brings_simulator(settings: Settings) -> bool:
    """Tell whether a simulator is started along with the services."""
    return settings.simulated and settings.simulator_url is None


def _metrics_ports(settings: Settings) -> Mapping[str, int]:
    """Return a port for each: processes cannot share one.

    By default free ones, so that nobody is blind who has set nothing.
    """
    first, count = settings.metrics_port, len(_WITHOUT_HTTP)
    if first:
        return dict(zip(_WITHOUT_HTTP, range(first, first + count), strict=True))
    found = free_ports(settings.metrics_host, count)
    return dict(zip(_WITHOUT_HTTP, found, strict=True))


def children(plan: Plan) -> tuple[Child, ...]:
    """Return the processes to run, each with its settings in its environment."""
    settings = plan.settings
    shared: dict[str, object] = {
        "log": settings.log,
        "live": str(settings.live).lower(),
        "port": plan.edge_port,
    }
    if plan.simulator_url is not None:
        shared |= {
            "simulator_url": plan.simulator_url,
            "simulator_port": plan.simulator_port,
        }
        shared["example_account"] = settings.example_account or example_account(
            settings
        )
    services = ["ingest", "processor", "edge"]
    if plan.simulator_url is not None:
        services.insert(0, "simulator")
    if settings.audit_watch:
        services.append("audit")
    return tuple(
        Child(
            name=name,
            command=(sys.executable, "-m", "app", *_words(name), "--with-parent"),
            environment=environment(
                {**shared, "metrics_port": plan.metrics_ports.get(name, 0)}
            ),
            gives_up=DIFFERENT if name == "audit" else None,
            stop_limit_s=stop_s(settings) - _SPARE_S if name == "edge" else None,
        )
        for name in services
    )


def _words(name: str) -> tuple[str, ...]:
    return ("audit", "watch") if name == "audit" else (name,)


def banner(plan: Plan, applied: Applied) -> str:
    """Say what runs, where, against what, and what to try."""
    settings, identity = plan.settings, applied.identity
    log = " --log " + settings.log if _elsewhere(settings) else ""
    simulator = plan.simulator_url or settings.simulator_url
    upstream = (
        f"the simulator at {simulator}; prices and balances are made up"
        if settings.simulated
        else "the real upstreams"
    )
    new = "created" if applied.created else "found"
    return f"""\
stacks-feed, {settings.environment_name}, {identity.world.value} world on {identity.network.value}
  log        {settings.log} ({new}, {identity.partitions} partitions, id {identity.id[:8]})
  reads      {upstream}
  page       http://{plan.edge}/
  serves     ws://{plan.edge}/parties/prices/main and ws://{plan.edge}/parties/balances/main
  origins    pages {in_words_of_origins(settings)}
  processes  {", ".join(child.name for child in children(plan))}
  metrics    {", ".join(f"{name} {url}" for name, url in metrics_addresses(plan).items())}
Try:
  curl 'http://{plan.edge}/parties/prices/main?tokens=stx'
  {_try_account(plan)}
  curl -N -H 'Accept: text/event-stream' 'http://{plan.edge}/prices'    # every change
  {tool("stacks-feed")} tail price{log}
Ctrl-C stops everything. Log lines follow on stderr."""


def _try_account(plan: Plan) -> str:
    """Return a request for the balances of an account, one that holds something if known."""
    if plan.simulator_url is None:
        return f"curl 'http://{plan.edge}/balances?users=SP…'    # any account"
    account = example_account(plan.settings)
    later = "    # read when asked: ask again after a second"
    return f"curl 'http://{plan.edge}/balances?users={account}'{later}"


def metrics_addresses(plan: Plan) -> dict[str, str]:
    """Return where each service serves its metrics, by name."""
    running = {child.name for child in children(plan)}
    host = plan.settings.metrics_host
    others = {
        name: f"http://{local_address(host, port)}/metrics"
        for name, port in plan.metrics_ports.items()
        if name in running
    }
    return {"edge": f"http://{plan.edge}/metrics", **others}


def in_words_of_origins(settings: Settings) -> str:
    """Say whose pages may use the edge."""
    listed = (*origins(settings), *(settings.origins_with_credentials or ()))
    if "*" in listed:
        return "of any origin may read it, over HTTP and WebSocket"
    others = f" and of {', '.join(listed)}" if listed else ""
    return f"of its own host{others} may read it, over HTTP and WebSocket"


def tool(name: str) -> str:
    """Return how to call a program of this installation from the working directory."""
    own = Path(sys.executable).parent / name
    if shutil.which(name) == str(own):
        return name
    return str(own.relative_to(Path.cwd()) if own.is_relative_to(Path.cwd()) else own)


def _elsewhere(settings: Settings) -> bool:
    default = type(settings).model_fields["log"].default
    return settings.log != default or isinstance(place_of(settings), Broker)
