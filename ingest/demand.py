"""Follows ``demand``: who is watched, and what somebody wants read again now."""

import asyncio
import logging
from collections.abc import Callable, Mapping

from eventlog.port import Batches, EventLog, Record
from ingest.core.watch import Watch, Withdrawn, is_fresh, read_demand
from ingest.follower import follow
from runtime.clock import Clock
from runtime.crash import OnStep, no_step
from schemas.base import Malformed
from schemas.demand import Lease, Refresh, RefreshKind
from schemas.ids import UserId
from schemas.topics import DEMAND

_logger = logging.getLogger("ingest.demand")
# Leases last minutes; who has none left is noticed this late at most.
_EXPIRE_EVERY_S = 5.0


class Demand:
    """The leases of all edges. Calls ``changed`` when a user comes or leaves.

    ``refreshes`` are called when a request of their kind comes that is young enough.
    """

    def __init__(
        self,
        *,
        limit: int,
        clock: Clock,
        changed: Callable[[], None],
        refreshes: Mapping[RefreshKind, Callable[[], None]],
        on_step: OnStep = no_step,
    ) -> None:
        self.watch = Watch(limit)
        self._clock, self._changed, self._refreshes = clock, changed, refreshes
        self._on_step, self._notified = on_step, 0
        # The leases that stood when we began are known.
        self.ready = asyncio.Event()

    def watched(self) -> list[UserId]:
        """Return the watched users, the first come first."""
        return self.watch.watched()

    async def run(
        self, log: EventLog, partitions: int, *, draw: Callable[[], float]
    ) -> None:
        """Follow the topic and let leases expire, for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._expire(), name="expire leases")
            await follow(
                log, DEMAND, partitions, taker=self, clock=self._clock, draw=draw
            )

    def take(self, batches: Batches) -> None:
        """Take the next records of ``demand``; what cannot be read is left alone."""
        self._on_step("demand-read")
        for records in batches.values():
            for record in records:
                self._take(record)
        self._notify()

    def caught_up(self) -> None:
        """The leases are complete."""
        self.ready.set()

    def _take(self, record: Record) -> None:
        now_ms = self._clock.now_ms()
        match read_demand(record.key, record.value):
            case Lease() as lease:
                self.watch.lease(lease, now_ms=now_ms)
            case Withdrawn() as gone:
                self.watch.withdraw(gone, now_ms=now_ms)
            case Refresh() as refresh:
                if is_fresh(refresh, now_ms=now_ms):
                    self._refreshes[refresh.kind]()
            case Malformed(field=field):
                _logger.warning("demand not readable", extra={"field": field})

    async def _expire(self) -> None:
        while True:
            await self._clock.sleep(_EXPIRE_EVERY_S)
            self.watch.expire(now_ms=self._clock.now_ms())
            self._notify()

    def _notify(self) -> None:
        """Call ``changed`` if a user came or left; most records renew a lease."""
        if self.watch.changes != self._notified:
            self._notified = self.watch.changes
            self._changed()
