# mypy: allow-untyped-calls
"""A log of either kind that a test lets forget what stands in its raw topics."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from app.topics import specs
from eventlog.port import EventLog, Partition
from eventlog.sqlite import open_sqlite
from schemas.topics import RAW
from tests.support.logs import LONG_S, PARTITIONS, Place, now_ms, open_at
from tests.support.sqlite_logs import HOUR_MS, HandClock, config_of, drop_all

KEPT_DAYS = 1
KEPT_MS = 86_400_000
_POLL_S = 0.02  # a broker deletes when it likes


class Forgetful:
    """The log, and how all that stands in its raw topics is deleted."""

    def __init__(self, log: EventLog, place: Place, clock: HandClock) -> None:
        self.log, self._place, self._clock = log, place, clock

    async def forget(self, at: Partition) -> None:
        """Let retention take everything; return when ``at`` is empty."""
        end = (await self.log.ends([at]))[at]
        if self._place.kind == "kafka":
            await _keep(self._place, kept_ms=1)
            await self._gone(at, end)
            await _keep(self._place, kept_ms=KEPT_MS)
            return
        drop_all(Path(self._place.address), at)

    def an_hour_later(self) -> None:
        """Let the clock of a log in a file go on."""
        self._clock.ms += HOUR_MS

    async def _gone(self, at: Partition, end: int) -> None:
        async with asyncio.timeout(LONG_S):
            while (await self.log.oldest([at]))[at] < end:  # noqa: ASYNC110 - retention sets no event of ours
                await asyncio.sleep(_POLL_S)


@asynccontextmanager
async def forgetful(place: Place) -> AsyncIterator[Forgetful]:
    """Open a log with all topics, whose raw ones keep their records for a day."""
    clock = HandClock(ms=now_ms())
    opening = open_at(place)
    if place.kind == "sqlite":
        opening = open_sqlite(
            config_of(Path(place.address), clock, clean_every_s=_POLL_S)
        )
    async with opening as log:
        await log.create(specs(partitions=PARTITIONS, audit_days=KEPT_DAYS))
        yield Forgetful(log, place, clock)


async def _keep(place: Place, *, kept_ms: int) -> None:
    """Let the broker keep the records of the raw topics for so long."""
    from aiokafka.admin import AIOKafkaAdminClient  # noqa: PLC0415 - only where a broker is
    from aiokafka.admin.config_resource import (  # noqa: PLC0415
        ConfigResource,
        ConfigResourceType,
    )

    settings = {
        "retention.ms": str(kept_ms),
        "cleanup.policy": "delete",
        "message.timestamp.type": "LogAppendTime",
    }
    resources = [
        ConfigResource(ConfigResourceType.TOPIC, place.prefix + topic, settings)
        for topic in RAW
    ]
    admin = AIOKafkaAdminClient(bootstrap_servers=place.address)
    await admin.start()
    try:
        await admin.alter_configs(resources)
    finally:
        await admin.close()
