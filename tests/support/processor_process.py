"""The processor as a process of its own, to be killed."""

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from app.topics import read_identity
from eventlog.port import EventLog
from processor.config import ProcessorConfig
from processor.core.batch import Limits
from processor.service import run
from runtime.clock import SystemClock
from tests.support.broker_choice import least_session_ms
from tests.support.logs import Place, open_at
from tests.support.shared_data import ROOT


async def serve(log: EventLog, instance: str, *, inputs: int = 5_000) -> None:
    """Run the processor's service until it is cancelled, ``inputs`` a commit at most."""
    limits = Limits()._replace(inputs=inputs)
    config = ProcessorConfig(instance=instance, limits=limits)
    await run(log, config, SystemClock(), identity=await read_identity(log))


async def main(kind: str, address: str, prefix: str, instance: str, told: str) -> None:
    async with open_quickly(Place(kind, address, prefix)) as log:
        await serve(log, instance, inputs=int(told))


def open_quickly(place: Place) -> AbstractAsyncContextManager[EventLog]:
    """Open a log of which a killed member's shards are soon another's."""
    if place.kind != "kafka":
        return open_at(place)
    from eventlog.kafka import KafkaConfig, open_kafka  # noqa: PLC0415 - only where a broker is

    bootstrap, prefix = place.address, place.prefix
    config = KafkaConfig(bootstrap, prefix, session_timeout_ms=least_session_ms())
    return open_kafka(config)


@asynccontextmanager
async def processor(
    place: Place, instance: str, *, inputs: int
) -> AsyncIterator[Process]:
    """Keep a processor running at a log; kill it at the end."""
    names = (place.kind, place.address, place.prefix, instance, str(inputs))
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.support.processor_process",
        *names,
        cwd=ROOT,
        stderr=PIPE,
    )
    try:
        yield process
    finally:
        await kill(process)


async def kill(process: Process) -> None:
    """Kill it as ``kill -9`` does; fail with what it said if it had ended by itself."""
    if process.returncode is None:
        process.kill()
    _, said = await process.communicate()
    assert process.returncode == -9, said.decode()[-4_000:]


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
