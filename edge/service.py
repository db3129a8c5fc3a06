"""The edge as a whole: its parts, started and stopped in order."""

import asyncio
import logging
import random
import resource
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial

from aiohttp import web

from edge.clients import Clients
from edge.config import EdgeConfig
from edge.core.hub import Hub
from edge.core.limits import Spending
from edge.demand import Demand
from edge.door import Door
from edge.follower import Follower
from edge.guard import Guard
from edge.http import application
from edge.listening import Listener, taking
from edge.parts import Parts
from edge.rounds import Rounds
from edge.sending import Answers
from eventlog.port import EventLog
from runtime.clock import Clock
from runtime.health import Health

_logger = logging.getLogger("edge.service")
# Room for a list of several hundred ids in a query.
_MAX_LINE_BYTES = 65_536
_SHUTDOWN_S = 1.0
# How long the rest of a short body is waited for, so that its connection can be kept.
_SHORT_BODY_S = 1.0
# How long a stop waits for leases to be withdrawn; they run out by themselves.
_FINISH_S = 1.0
_NO_LIMIT = 1 << 30


@dataclass(frozen=True, slots=True)
class Edge:
    """A running edge: its port, and when it has read the table."""

    port: int
    caught_up: asyncio.Event


async def run(
    log: EventLog,
    config: EdgeConfig,
    *,
    partitions: int,
    clock: Clock,
    draw: Callable[[], float] = random.random,
    health: Health | None = None,
) -> None:
    """Serve what ``latest`` holds until cancelled; a clean stop takes some seconds.

    Survives the log being away. Raises, in an exception group, what an operator must see
    to (``UnknownTopic``, ``LogCorrupt``, ``OffsetOutOfRange``) and ``OSError`` for a port
    that cannot be had.
    """
    opened = running(
        log, config, partitions=partitions, clock=clock, draw=draw, health=health
    )
    async with opened as edge:
        if not config.shares_port:
            _logger.info("listening", extra={"host": config.host, "port": edge.port})
        await asyncio.Event().wait()


@asynccontextmanager
async def running(
    log: EventLog,
    config: EdgeConfig,
    *,
    partitions: int,
    clock: Clock,
    draw: Callable[[], float] = random.random,
    health: Health | None = None,
) -> AsyncIterator[Edge]:
    """Serve until the context is left; port 0 takes a free one.

    It listens at once, and refuses clients until it has read the table; on a shared port
    it listens only then. When it stops it sends its clients away (``Clients.close``).
    """
    files = _raise_open_files()
    parts = _parts(config, partitions, clock=clock, draw=draw, health=health)
    clients = parts.clients
    async with (
        _listening(parts, Door(config, files=files, clock=clock)) as listener,
        asyncio.TaskGroup() as group,
    ):
        tasks = [
            group.create_task(parts.follower.run(log), name="follow the table"),
            group.create_task(parts.demand.run(log, partitions), name="write demand"),
            group.create_task(clients.feed(), name="feed clients"),
            group.create_task(_rounds(parts).run(), name="go round clients"),
        ]
        joining = group.create_task(_join(parts, listener), name="join the others")
        try:
            yield Edge(listener.port, parts.follower.caught_up)
        finally:
            joining.cancel()
            # Clients are kept up to date until each is closed; not with what is broken.
            is_well = not any(task.done() for task in tasks)
            await _drain(parts, listener, draw=draw, in_time=is_well)
            for task in tasks:
                task.cancel()


def _parts(
    config: EdgeConfig,
    partitions: int,
    *,
    clock: Clock,
    draw: Callable[[], float],
    health: Health | None,
) -> Parts:
    hub = Hub(config.rules)
    clients = Clients(hub, mark_bytes=config.mark_bytes, clock=clock)
    parts = Parts(
        config=config,
        clock=clock,
        hub=hub,
        clients=clients,
        demand=Demand(config, clock=clock, draw=draw),
        follower=Follower(
            hub,
            clients,
            config=config,
            partitions=partitions,
            clock=clock,
            draw=draw,
        ),
        answers=Answers(config, clock=clock),
        spending=Spending(config.allowances.http_bytes_each),
        health=health or Health("edge"),
        draw=draw,
    )
    parts.health.add("table", parts.closed_because)
    parts.health.warn("stale", parts.follower.stale)
    parts.health.tell("observedAgeS", parts.follower.observed_ages_s)
    parts.health.tell("oldPrices", parts.follower.old_price_count)
    parts.health.tell("exampleAccount", lambda: config.example_account)
    parts.health.measure(parts.measure)
    return parts


def _rounds(parts: Parts) -> Rounds:
    return Rounds(
        parts.config, parts.hub, parts.clients, parts.follower, clock=parts.clock
    )


async def _join(parts: Parts, listener: Listener) -> None:
    """Open a shared port when we can serve: until then the others do."""
    if not parts.config.shares_port:
        return
    await parts.follower.caught_up.wait()
    await listener.open()
    _logger.info("joined", extra={"port": listener.port})


async def _drain(
    parts: Parts, listener: Listener, *, draw: Callable[[], float], in_time: bool
) -> None:
    """Take in no new clients and send away those there are, spread over the drain time.

    When cancelled, all that are left are sent away at once.
    """
    parts.clients.closing = True
    try:
        await listener.leave()
    except asyncio.CancelledError:
        parts.clients.end_all()
        raise
    drain_s = parts.config.drain_s if in_time else 0.0
    await parts.clients.close(drain_s=drain_s, draw=draw)
    if in_time:
        # Who is gone for good is not to be read for minutes more.
        with suppress(TimeoutError):
            async with asyncio.timeout(_FINISH_S):
                await parts.demand.finish()


@asynccontextmanager
async def _listening(parts: Parts, door: Door) -> AsyncIterator[Listener]:
    """Answer on the port."""
    config = parts.config
    guard = Guard(parts, door)
    runner = web.AppRunner(
        application(parts, guard), access_log=None, shutdown_timeout=_SHUTDOWN_S
    )
    await runner.setup()
    assert runner.server is not None, "the runner is set up"  # noqa: S101
    serve = partial(
        door.connection,
        runner.server,
        access_log=None,
        keepalive_timeout=config.keepalive_s,
        tcp_keepalive=False,  # what listens has it, and all that it accepts
        auto_decompress=False,  # nobody reads a body: edge.uploads
        lingering_time=_SHORT_BODY_S,
        max_line_size=_MAX_LINE_BYTES,
    )
    taken = taking(serve, config, clock=parts.clock)
    try:
        async with taken as listener:
            parts.health.warn("accepting", listener.trouble)
            if not config.shares_port:
                # At once: whoever comes too early is told why.
                await listener.open()
            yield listener
    finally:
        await runner.cleanup()


def _raise_open_files() -> int:
    """Allow as many open files as the system lets us have; return how many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    _logger.info("open files allowed", extra={"files": hard})
    return hard if hard != resource.RLIM_INFINITY else _NO_LIMIT
