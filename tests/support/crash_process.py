"""A service as a process that kills itself at a step, and how a test sees it die."""

import asyncio
import json
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from signal import SIGKILL
from typing import Any

from eventlog.port import EventLog
from eventlog.sqlite import SqliteConfig, cleaner, open_sqlite
from processor import restore
from processor.config import ProcessorConfig
from processor.core.batch import Limits
from processor.service import run as run_processor
from runtime import logs
from runtime.clock import SystemClock
from runtime.crash import OnStep, crash_at, no_step
from tests.support.broker_choice import least_session_ms
from tests.support.logs import Place, now_ms
from tests.support.shared_data import ROOT

LIMIT_S = 30.0
# Steps so small that a short history has many.
INPUTS = 25
_RESTORE_BATCH, _DROP_RECORDS, _LOOK_RECORDS = 20, 10, 40
_CLEAN_EVERY_S, _DIRTY_MIN = 0.05, 50


def open_small(
    place: Place, on_step: OnStep = no_step, *, now_ms: Callable[[], int] = now_ms
) -> AbstractAsyncContextManager[EventLog]:
    """Open a log that cleans up often, and soon takes a silent member for dead."""
    if place.kind == "kafka":
        from eventlog.kafka import KafkaConfig, open_kafka  # noqa: PLC0415 - only where a broker is

        return open_kafka(
            KafkaConfig(
                place.address,
                place.prefix,
                session_timeout_ms=least_session_ms(),
                on_step=on_step,
            )
        )
    return open_sqlite(
        SqliteConfig(
            Path(place.address),
            now_ms=now_ms,
            clean_every_s=_CLEAN_EVERY_S,
            dirty_min=_DIRTY_MIN,
            on_step=on_step,
        )
    )


async def process(log: EventLog, instance: str, on_step: OnStep = no_step) -> None:
    """Run the processor's service, a few inputs a commit."""
    limits = Limits(inputs=INPUTS)
    config = ProcessorConfig(instance, limits=limits, on_step=on_step)
    await run_processor(log, config, SystemClock())


@asynccontextmanager
async def processing(place: Place) -> AsyncIterator[None]:
    """Run a processor that lives, in this process."""
    async with open_small(place) as log, asyncio.TaskGroup() as group:
        running = group.create_task(process(log, "survivor"))
        yield
        running.cancel()


async def _processor(place: Place, on_step: OnStep, _: str) -> None:
    async with open_small(place, on_step) as log:
        await process(log, "victim", on_step)


async def _owner(place: Place, on_step: OnStep, _: str) -> None:
    """Own shard 0, and so clean up."""
    async with open_small(place, on_step) as log, log.own(0):
        await asyncio.Event().wait()


async def _ingest(place: Place, on_step: OnStep, url: str) -> None:
    from tests.support.ingest_process import Saying, ingest  # noqa: PLC0415 - slow to load

    async with open_small(place, on_step) as log:
        await ingest(Saying(log).as_log(), url, "victim", on_step)


_ROLES: dict[str, Callable[[Place, OnStep, str], Coroutine[Any, Any, None]]] = {
    "processor": _processor,
    "owner": _owner,
    "ingest": _ingest,
}


async def main(role: str, spec: str, told: str, *place: str) -> None:
    logs.configure(role)
    restore._BATCH = _RESTORE_BATCH
    cleaner._DROP_RECORDS, cleaner._LOOK_RECORDS = _DROP_RECORDS, _LOOK_RECORDS
    await _ROLES[role](Place(*place), crash_at(spec), told)


async def dies(role: str, place: Place, spec: str, *, told: str = "") -> list[str]:
    """Start a service and wait until it has died at a step, and by the kill there.

    Return what it had said on stdout.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.support.crash_process",
        *(role, spec, told, place.kind, place.address, place.prefix),
        cwd=ROOT,
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
    )
    try:
        async with asyncio.timeout(LIMIT_S):
            out, said = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()
    died_at(spec, process.returncode, said.decode())
    return out.decode().splitlines()


def died_at(spec: str, code: int | None, said: str) -> None:
    """Check that a process that said this on stderr was killed at a step."""
    assert code == -SIGKILL, said[-4_000:]
    name, _, number = spec.partition(":")
    lines = [json.loads(line) for line in said.splitlines()]
    killed = [line for line in lines if line["event"] == "killed at a step"]
    assert [(line["step"], line["pass"]) for line in killed] == [
        (name, int(number or 1))
    ]


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
