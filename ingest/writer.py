"""Observations on their way into the log: a bounded buffer, written in batches."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from eventlog.partition import partition_of
from eventlog.port import Entry, EventLog, LogUnavailable
from ingest.config import IngestConfig
from ingest.core.backoff import delay_s
from runtime.clock import Clock
from runtime.metrics import BUFFERED, LOG_ERRORS, READINGS
from schemas.topics import partition_key

_logger = logging.getLogger("ingest.writer")
_RETRY_CAP_S = 5.0


@dataclass(frozen=True, slots=True)
class Observed:
    """One observation, encoded, with its topic and key; ``kind`` is for the counters."""

    topic: str
    key: bytes
    value: bytes
    kind: str


@dataclass(slots=True)
class _Parcel:
    observed: Sequence[Observed]
    durable: "asyncio.Future[None]" = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class Writer:
    """Takes observations and returns when the log has them.

    When ``buffer_records`` of them wait, who brings more waits for room first: so reading
    upstream stops by itself while the log is away, and goes on when it is back. An
    append whose outcome is unknown is repeated; the fold counts the copy as duplicate.
    """

    def __init__(
        self,
        log: EventLog,
        config: IngestConfig,
        *,
        partitions: int,
        clock: Clock,
        draw: Callable[[], float],
    ) -> None:
        self._log, self._partitions = log, partitions
        self._clock, self._draw = clock, draw
        self._limit, self._batch = config.buffer_records, config.batch_records
        self._on_step = config.on_step
        self._waiting: deque[_Parcel] = deque()
        self._count = 0
        self._changed = asyncio.Condition()
        self._closing = False
        self.stalled: str | None = None

    async def write(self, observed: Sequence[Observed]) -> None:
        """Return when all of it is durable; waits for room while the buffer is full."""
        if not observed:
            return
        self._on_step("reply-read")
        async with self._changed:
            await self._changed.wait_for(self._has_room)
            parcel = _Parcel(observed)
            self._waiting.append(parcel)
            self._count += len(observed)
            BUFFERED.set(self._count)
            self._changed.notify_all()
        await parcel.durable

    def full(self) -> str | None:
        """Return that nothing more is taken, if so: then upstream is not read."""
        if self._has_room():
            return None
        return f"full: {self._count} observations wait for the log, nothing is read"

    async def run(self) -> None:
        """Append what is brought, until ``close`` and nothing waits."""
        while parcels := await self._next():
            await self._append(parcels)

    async def close(self) -> None:
        """Let ``run`` end once everything that waits is written."""
        async with self._changed:
            self._closing = True
            self._changed.notify_all()

    def _has_room(self) -> bool:
        # What alone is larger than the buffer goes in when it is empty.
        return self._count < self._limit

    async def _next(self) -> list[_Parcel]:
        async with self._changed:
            await self._changed.wait_for(lambda: self._waiting or self._closing)
        parcels: list[_Parcel] = []
        size = 0
        while self._waiting and (not parcels or size < self._batch):
            parcels.append(self._waiting.popleft())
            size += len(parcels[-1].observed)
        return parcels

    async def _append(self, parcels: Sequence[_Parcel]) -> None:
        observed = [one for parcel in parcels for one in parcel.observed]
        for topic in dict.fromkeys(one.topic for one in observed):
            await self._append_to(topic, [o for o in observed if o.topic == topic])
        self._on_step("appended")
        for one in observed:
            READINGS.labels(one.kind).inc()
        for parcel in parcels:
            # Who brought it may have been cancelled meanwhile.
            if not parcel.durable.done():
                parcel.durable.set_result(None)
        async with self._changed:
            self._count -= len(observed)
            BUFFERED.set(self._count)
            self._changed.notify_all()

    async def _append_to(self, topic: str, observed: Sequence[Observed]) -> None:
        entries = [
            (self._partition(one.key), Entry(one.key, one.value)) for one in observed
        ]
        attempt = 0
        while True:
            try:
                await self._log.append(topic, entries)
            except LogUnavailable as error:
                self._stall(error)
                await self._clock.sleep(
                    delay_s(attempt, draw=self._draw(), cap_s=_RETRY_CAP_S)
                )
                attempt += 1
            else:
                self._resume()
                return

    def _partition(self, key: bytes) -> int:
        return partition_of(partition_key(key), self._partitions)

    def _stall(self, error: LogUnavailable) -> None:
        LOG_ERRORS.labels("unavailable").inc()
        if self.stalled is None:
            _logger.warning("log unavailable, readings wait", extra={"why": str(error)})
        self.stalled = str(error)

    def _resume(self) -> None:
        if self.stalled is not None:
            _logger.info("log is back, readings go on")
        self.stalled = None
