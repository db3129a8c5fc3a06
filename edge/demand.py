"""Writes ``demand``: leases of the users somebody asks for, and refresh requests."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence

from edge.config import EdgeConfig
from edge.core.leases import Lease, Leases
from edge.core.patience import delay_s
from edge.core.refresh import RefreshGate
from edge.waiting import sleep_or
from eventlog.partition import partition_of
from eventlog.port import Entry, EventLog, LogFull, LogUnavailable
from runtime.clock import Clock
from runtime.metrics import LEASES, LOG_ERRORS
from schemas.base import encode
from schemas.demand import Lease as LeaseRecord
from schemas.demand import Refresh, RefreshKind
from schemas.ids import UserId
from schemas.topics import DEMAND, partition_key

_logger = logging.getLogger("edge.demand")
_BATCH = 500


class Demand:
    """What the clients of this edge want read. Every wish is taken at once, never waits.

    Leases still standing when the edge stops are left to run out: its clients will be
    back within seconds, here or at another edge.
    """

    def __init__(
        self, config: EdgeConfig, *, clock: Clock, draw: Callable[[], float]
    ) -> None:
        self._config, self._clock, self._draw = config, clock, draw
        self._leases = Leases(lease_s=config.lease_s)
        self._gate = RefreshGate(interval_s=config.refresh_interval_s)
        self._woken = asyncio.Event()

    def watch(self, users: Iterable[UserId]) -> None:
        """Hold a lease of each user until ``unwatch``."""
        self._leases.watch(users)
        self._changed()

    def unwatch(self, users: Iterable[UserId]) -> None:
        """Withdraw the leases."""
        self._leases.unwatch(users)
        self._changed()

    def glance(self, users: Iterable[UserId]) -> None:
        """Have each user watched for the length of one lease."""
        refused = self._leases.glance(users, now_s=self._clock.monotonic_s())
        if refused:
            _logger.warning("leases not asked for", extra={"users": refused})
        self._changed()

    def refresh(self, kind: RefreshKind) -> None:
        """Ask for a reading."""
        self._gate.ask(kind)
        self._changed()

    async def run(self, log: EventLog, partitions: int) -> None:
        """Write what is wanted, for ever; a log that is away or full is waited out."""
        attempt = 0
        while True:
            await sleep_or(self._clock, self._wait_s(), self._woken)
            try:
                await self._write(log, partitions)
                attempt = 0
            except (LogUnavailable, LogFull) as error:
                LOG_ERRORS.labels(type(error).__name__).inc()
                _logger.warning("demand not written", extra={"why": str(error)})
                await self._clock.sleep(delay_s(attempt, draw=self._draw()))
                attempt += 1

    def _changed(self) -> None:
        LEASES.set(len(self._leases))
        self._woken.set()

    def _wait_s(self) -> float | None:
        now_s = self._clock.monotonic_s()
        waits = (self._leases.wait_s(now_s=now_s), self._gate.wait_s(now_s=now_s))
        return min((wait for wait in waits if wait is not None), default=None)

    async def _write(self, log: EventLog, partitions: int) -> None:
        now_s = self._clock.monotonic_s()
        leases = self._leases.due(now_s=now_s, limit=_BATCH)
        kinds = self._gate.due(now_s=now_s)
        entries = [*self._leased(leases), *self._requested(kinds)]
        if not entries:
            return
        placed = [(_partition(entry, partitions), entry) for entry in entries]
        await log.append(DEMAND, placed)
        self._leases.written(leases, now_s=now_s)
        self._gate.served(kinds, now_s=now_s)

    def _leased(self, leases: Sequence[Lease]) -> Iterable[Entry]:
        edge, now_ms = self._config.instance, self._clock.now_ms()
        until_ms = now_ms + round(self._config.lease_s * 1_000)
        for user_id, held in leases:
            record = LeaseRecord(
                user_id=user_id, edge=edge, renewed_at=now_ms, expires_at=until_ms
            )
            key = f"{user_id}|{edge}".encode()
            yield Entry(key, encode(record) if held else None)

    def _requested(self, kinds: Sequence[RefreshKind]) -> Iterable[Entry]:
        for kind in kinds:
            record = Refresh(kind=kind, requested_at=self._clock.now_ms())
            yield Entry(f"refresh:{kind.value}".encode(), encode(record))


def _partition(entry: Entry, partitions: int) -> int:
    return partition_of(partition_key(entry.key or b""), partitions)
