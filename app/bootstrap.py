"""Builds everything: the only caller of constructors."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, assert_never
from uuid import uuid4

from app.build import commit, version
from app.configs import (
    edge_config,
    index_path,
    ingest_config,
    kafka_config,
    place_of,
    processor_config,
    simulator_config,
    wanted_log,
    watch_config,
)
from app.errors import OperatorError
from app.places import Broker, File
from app.ports import check_free
from app.room import tell_room
from app.settings import Settings
from app.topics import (
    Applied,
    apply,
    check_identity,
    drift_in,
    loss_in,
    read_identity,
    read_only_identity,
    refuse_harmful,
    specs,
)
from app.workers import opened_workers
from eventlog.port import EventLog
from runtime.clock import Clock
from runtime.crash import crash_at
from runtime.health import Health, Service
from runtime.trouble import Trouble
from schemas.log import LogIdentity

logger = logging.getLogger(__name__)


class Opened(NamedTuple):
    """A log whose identity fits this process."""

    log: EventLog
    identity: LogIdentity


@asynccontextmanager
async def open_log(
    settings: Settings, *, clock: Clock, create: bool = False
) -> AsyncIterator[EventLog]:
    """Open the log the settings name, whatever is in it.

    A file that does not exist is made only with ``create``, else ``OperatorError``.
    """
    place = place_of(settings)
    match place:
        case File(path):
            _prepare(path, create=create)
            from eventlog.sqlite import SqliteConfig, open_sqlite  # noqa: PLC0415 - only the adapter in use is loaded

            config = SqliteConfig(
                path=path,
                now_ms=clock.now_ms,
                full_sync=settings.sqlite_full_sync,
                on_step=crash_at(settings.crash_at),
                new_trouble=Trouble,
            )
            async with open_sqlite(config) as log:
                yield log
        case Broker():
            from eventlog.kafka import open_kafka  # noqa: PLC0415 - only the adapter in use is loaded

            async with open_kafka(kafka_config(settings, place)) as log:
                yield log
        case _:
            assert_never(place)


def _prepare(path: Path, *, create: bool) -> None:
    if create:
        path.parent.mkdir(parents=True, exist_ok=True)
    elif not path.exists():
        raise OperatorError(
            f"there is no log at {path}; `stacks-feed up` makes one and runs everything, "
            "`stacks-feed topics apply` just makes it"
        )


@asynccontextmanager
async def open_checked(settings: Settings, *, clock: Clock) -> AsyncIterator[Opened]:
    """Open the log for a service: with its topics, of this network and world.

    Raises ``OperatorError`` when it is not.
    """
    async with open_log(settings, clock=clock) as log:
        identity, wanted = await read_only_identity(log), wanted_log(settings)
        if identity is None:
            topics = specs(partitions=1, audit_days=wanted.audit_days)
            raise OperatorError(
                await loss_in(log, topics)
                or f"the log at {log.where} has no topics yet; create them with "
                "`stacks-feed topics apply`"
            )
        check_identity(
            identity, network=wanted.network, world=wanted.world, where=log.where
        )
        topics = specs(partitions=identity.partitions, audit_days=wanted.audit_days)
        states = await log.describe(topics)
        missing = {spec.name for spec in topics} - {state.name for state in states}
        if missing:
            raise OperatorError(
                await loss_in(log, topics)
                or f"the log at {log.where} lacks the topics {', '.join(sorted(missing))}; "
                "create them with `stacks-feed topics apply`"
            )
        refuse_harmful(drift_in(states), where=log.where)
        yield Opened(log, identity)


async def apply_topics(settings: Settings, *, clock: Clock) -> Applied:
    """Create what is missing in the log and write its identity if it has none.

    Raises ``OperatorError`` if the log is there and of another network or world: nothing
    is created in it then.
    """
    async with open_log(settings, clock=clock, create=True) as log:
        wanted, found = wanted_log(settings), await read_identity(log)
        if found is not None:
            check_identity(
                found, network=wanted.network, world=wanted.world, where=log.where
            )
            if settings.partitions is None:
                wanted = replace(wanted, partitions=found.partitions)
        return await apply(
            log,
            wanted,
            new_id=uuid4().hex,
            now_ms=clock.now_ms,
            on_step=crash_at(settings.crash_at),
        )


Running = Callable[[], Coroutine[Any, Any, None]]


@asynccontextmanager
async def opened_service(
    name: str, settings: Settings, *, clock: Clock
) -> AsyncIterator[Running]:
    """Open what a service needs; give what runs it until it is cancelled.

    Only its own code is loaded. Raises what is in ``OPERATIONAL`` for what an operator
    can put right before the service starts.
    """
    _check_ports(name, settings)
    async with AsyncExitStack() as stack:
        if name == "simulator":
            yield partial(_run_simulator, settings)
            return
        if name == "edge" and settings.workers > 1:
            async with open_checked(settings, clock=clock) as opened:
                _log_opened(opened)
            # Each worker opens it for itself.
            yield await stack.enter_async_context(opened_workers(settings, clock=clock))
            return
        health = Health(_SERVICES[name])
        _tell_build()
        health.add("start", lambda: "the service is starting")
        if settings.metrics_port:
            await stack.enter_async_context(_told(health, settings))
        opened = await stack.enter_async_context(open_checked(settings, clock=clock))
        _log_opened(opened)
        place = place_of(settings)
        if isinstance(place, File):
            health.measure(partial(tell_room, place.path))
        yield partial(_run, name, opened, settings, clock=clock, health=health)


def _log_opened(opened: Opened) -> None:
    where, identity = opened.log.where, opened.identity
    logger.info("log opened", extra={"log": where, "id": identity.id})


async def _run(
    name: str, opened: Opened, settings: Settings, *, clock: Clock, health: Health
) -> None:
    # The service's own checks stand before anybody can ask: its first step adds them.
    health.drop("start")
    await _RUN[name](opened, settings, clock=clock, health=health)


def _check_ports(name: str, settings: Settings) -> None:
    if name == "edge" and not settings.together_port and settings.workers == 1:
        check_free(
            settings.host,
            settings.port,
            what="edge",
            setting="--port or STACKS_FEED_PORT",
        )
    elif name == "simulator":
        check_free(
            settings.simulator_host,
            settings.simulator_port,
            what="simulator",
            setting="STACKS_FEED_SIMULATOR_PORT",
        )


def _told(health: Health, settings: Settings) -> AbstractAsyncContextManager[int]:
    from runtime.serving import serving  # noqa: PLC0415 - only where asked for

    host, port = settings.metrics_host, settings.metrics_port
    check_free(host, port, what="metrics", setting="STACKS_FEED_METRICS_PORT")
    return serving(health, host=host, port=port)


async def _run_simulator(settings: Settings) -> None:
    from simulator.server import serve  # noqa: PLC0415 - each process loads its service alone

    await serve(simulator_config(settings))


async def _run_ingest(
    opened: Opened, settings: Settings, *, clock: Clock, health: Health
) -> None:
    from ingest.service import run  # noqa: PLC0415 - each process loads its service alone

    await run(
        opened.log,
        ingest_config(settings),
        partitions=opened.identity.partitions,
        clock=clock,
        health=health,
    )


async def _run_processor(
    opened: Opened, settings: Settings, *, clock: Clock, health: Health
) -> None:
    from processor.service import run  # noqa: PLC0415 - each process loads its service alone

    await run(
        opened.log,
        processor_config(settings),
        clock,
        health=health,
        identity=opened.identity,
    )


async def _run_edge(
    opened: Opened, settings: Settings, *, clock: Clock, health: Health
) -> None:
    if settings.together_port:
        # Who is to be told to stop, when one after the other is started again.
        health.tell("pid", os.getpid)
    from edge.service import run  # noqa: PLC0415 - each process loads its service alone

    await run(
        opened.log,
        edge_config(settings),
        partitions=opened.identity.partitions,
        clock=clock,
        health=health,
    )


async def _run_audit(
    opened: Opened, settings: Settings, *, clock: Clock, health: Health
) -> None:
    from audit.keeping import keep_index  # noqa: PLC0415 - each process loads its service alone
    from audit.watch import run  # noqa: PLC0415 - as above

    path = index_path(settings)
    async with asyncio.TaskGroup() as group:
        keeping = keep_index(opened.log, opened.identity, path, clock)
        group.create_task(keeping, name="audit index")
        await run(
            opened.log,
            watch_config(settings, identity=opened.identity),
            clock,
            health=health,
        )


def _tell_build() -> None:
    from runtime.metrics import BUILD_INFO  # noqa: PLC0415 - only where it is served

    BUILD_INFO.labels(version(), commit()).set(1)


_SERVICES: Mapping[str, Service] = {
    "ingest": "ingest",
    "processor": "processor",
    "edge": "edge",
    "audit": "audit",
}
_RUN: Mapping[str, Callable[..., Coroutine[Any, Any, None]]] = {
    "ingest": _run_ingest,
    "processor": _run_processor,
    "edge": _run_edge,
    "audit": _run_audit,
}
