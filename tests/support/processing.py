"""A processor run beside a test, and a part of the history for it to fold."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache

from eventlog.port import EventLog
from processor.config import ProcessorConfig
from processor.core.batch import Limits
from processor.service import run
from runtime.clock import SystemClock
from runtime.health import Health
from schemas.log import LogIdentity
from tests.support import history
from tests.support.history_noise import noise
from tests.support.pipeline import Told, tell

# Of the history one in so many, and every kind of bytes that cannot be read.
_ONE_IN = 40


@cache
def a_part() -> Told:
    seen = list(history.observations())[::_ONE_IN]
    return tell([*((o.topic, o.key, o.value) for o in seen), *noise(seen)])


def config_of(instance: str = "one", *, inputs: int = 100) -> ProcessorConfig:
    """Commits so small that there are many, and no waiting."""
    return ProcessorConfig(
        instance, limits=Limits(inputs=inputs), backoff_s=0, max_backoff_s=0, fenced_s=0
    )


@asynccontextmanager
async def processing(
    log: EventLog,
    config: ProcessorConfig | None = None,
    *,
    identity: LogIdentity | None = None,
) -> AsyncIterator[Health]:
    """Run a processor for a while; what stops it before fails the test."""
    health = Health()
    async with asyncio.TaskGroup() as group:
        running = group.create_task(
            run(
                log,
                config or config_of(),
                SystemClock(),
                health=health,
                identity=identity,
            )
        )
        yield health
        running.cancel()
