"""Follows ``latest``: into the table, and from there to whoever is to hear of it."""

import asyncio
import logging
from collections.abc import Callable, Iterator

from edge.clients import Clients
from edge.core.hub import Hub
from edge.core.patience import delay_s
from eventlog.port import Batches, EventLog, LogUnavailable, Partition, Reader
from runtime.clock import Clock
from runtime.crash import OnStep, no_step
from runtime.metrics import LOG_ERRORS, UNREADABLE_LATEST
from schemas.topics import LATEST

_logger = logging.getLogger("edge.follower")
# Bounds what one delivery is for a client that gets everything.
_MAX_RECORDS = 1_000
_WAIT_S = 1.0


class Follower:
    """Reads the public table from its oldest record on, through whatever happens."""

    def __init__(
        self,
        hub: Hub,
        clients: Clients,
        *,
        partitions: int,
        clock: Clock,
        draw: Callable[[], float],
        on_step: OnStep = no_step,
    ) -> None:
        self._hub, self._clients = hub, clients
        self._parts = [Partition(LATEST, number) for number in range(partitions)]
        self._clock, self._draw, self._on_step = clock, draw, on_step
        self._positions: dict[Partition, int] = {}
        self._ends: dict[Partition, int] = {}
        # Set when all that stood in the table at the start has been read.
        self.caught_up = asyncio.Event()

    def behind(self) -> str | None:
        """Return what is still to be read before anybody may be served."""
        if self.caught_up.is_set():
            return None
        left = sum(end - self._positions.get(p, 0) for p, end in self._ends.items())
        return f"the table is not read yet, {left} offsets are left"

    async def run(self, log: EventLog) -> None:
        """Follow, for ever; a log that is away is waited out.

        Raises ``OffsetOutOfRange`` when the log is no longer the one we read: the table
        is then wrong, and a new start reads the right one.
        """
        attempt = 0
        while True:
            before = dict(self._positions)
            try:
                await self._follow(log)
            except LogUnavailable as error:
                LOG_ERRORS.labels(type(error).__name__).inc()
                _logger.warning("table not readable", extra={"why": str(error)})
            attempt = attempt + 1 if before == self._positions else 0
            await self._clock.sleep(delay_s(attempt, draw=self._draw()))

    async def _follow(self, log: EventLog) -> None:
        if not self._ends:
            self._positions = dict(await log.oldest(self._parts))
            self._ends = dict(await log.ends(self._parts))
        async with log.reader(self._positions) as reader:
            while True:
                self._note(reader)
                batches = await reader.read(max_records=_MAX_RECORDS, wait_s=_WAIT_S)
                if batches:
                    await self._take(batches)

    async def _take(self, batches: Batches) -> None:
        unreadable = self._hub.unreadable
        writes = self._hub.apply(_records(batches), now_ms=self._clock.now_ms())
        UNREADABLE_LATEST.inc(self._hub.unreadable - unreadable)
        self._on_step("table-updated")
        await self._clients.deliver(writes)

    def _note(self, reader: Reader) -> None:
        for part in self._parts:
            self._positions[part] = reader.position(part)
        read = all(self._positions[part] >= end for part, end in self._ends.items())
        if read and not self.caught_up.is_set():
            self.caught_up.set()
            _logger.info("ready", extra={"keys": self._hub.keys})


def _records(batches: Batches) -> Iterator[tuple[bytes, bytes | None]]:
    for records in batches.values():
        for record in records:
            if record.key is None:
                UNREADABLE_LATEST.inc()
            else:
                yield record.key, record.value
