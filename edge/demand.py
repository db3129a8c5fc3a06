"""Writes ``demand``: leases of the users somebody asks for, and refresh requests."""

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Sequence

from edge.config import EdgeConfig
from edge.core.leases import Lease, Leases
from edge.core.limits import Buckets
from edge.core.patience import delay_s
from edge.core.refresh import RefreshGate
from edge.waiting import sleep_or
from eventlog.partition import partition_of
from eventlog.port import Entry, EventLog, LogFull, LogUnavailable
from runtime.clock import Clock
from runtime.metrics import LEASES, LOG_ERRORS, REFUSED
from runtime.trouble import Trouble
from schemas.base import encode
from schemas.demand import Lease as LeaseRecord
from schemas.demand import Refresh, RefreshKind
from schemas.ids import UserId
from schemas.topics import DEMAND, partition_key

_logger = logging.getLogger("edge.demand")
_BATCH = 500


class Demand:
    """What the clients of this edge want read. Every wish is taken at once, never waits.

    ``who`` wishes is an address, or the network of a household: each has its share. A user
    beyond the limits is served what is known and not read anew until he is asked for again.
    """

    def __init__(
        self, config: EdgeConfig, *, clock: Clock, draw: Callable[[], float]
    ) -> None:
        self._config, self._clock, self._draw = config, clock, draw
        self._leases = Leases(lease_s=config.lease_s)
        self._gate = RefreshGate(interval_s=config.refresh_interval_s)
        self._woken, self._written = asyncio.Event(), asyncio.Event()
        allowed = config.allowances
        self._newcomers = Buckets[str](allowed.new_watched_each)
        self._askers = Buckets[tuple[str, RefreshKind]](allowed.refreshes_each)

    def watch(self, users: Collection[UserId], who: str = "") -> None:
        """Hold a lease of each user until ``unwatch``."""
        if users:
            # One after the other: each that is taken leaves less room for the next.
            self._leases.watch(each for each in users if self._may_watch(each, who))
            self._changed()

    def unwatch(self, users: Collection[UserId]) -> None:
        """Withdraw the leases."""
        if users:
            self._leases.unwatch(users)
            self._changed()

    def glance(self, users: Iterable[UserId], who: str = "") -> None:
        """Have each user watched for the length of one lease."""
        now_s = self._clock.monotonic_s()
        allowed = [each for each in users if self._may_watch(each, who)]
        refused = self._leases.glance(allowed, now_s=now_s)
        if refused:
            _logger.warning("leases not asked for", extra={"users": refused})
        self._changed()

    def refresh(self, kind: RefreshKind, who: str = "") -> None:
        """Ask for a reading."""
        if not self._askers.take((who, kind), now_s=self._clock.monotonic_s()):
            REFUSED.labels("refresh").inc()
            return
        self._gate.ask(kind)
        self._changed()

    async def finish(self) -> None:
        """Withdraw every lease; return when that stands in the log."""
        self.unwatch(self._leases.watched)
        while self._leases.waiting:
            self._written.clear()
            await self._written.wait()

    async def run(self, log: EventLog, partitions: int) -> None:
        """Write what is wanted, for ever; a log that is away or full is waited out."""
        attempt = 0
        trouble = Trouble(
            _logger,
            "demand not written",
            "demand written again",
            monotonic_s=self._clock.monotonic_s,
        )
        while True:
            await sleep_or(self._clock, self._wait_s(), self._woken)
            try:
                await self._write(log, partitions)
                attempt = 0
                trouble.over()
            except (LogUnavailable, LogFull) as error:
                LOG_ERRORS.labels(type(error).__name__).inc()
                trouble.happened(why=str(error))
                await self._clock.sleep(delay_s(attempt, draw=self._draw()))
                attempt += 1

    def _may_watch(self, user_id: UserId, who: str) -> bool:
        """Tell whether a user may be watched for who asks; one who is, takes no share."""
        leases, now_s = self._leases, self._clock.monotonic_s()
        if leases.is_known(user_id):
            return True
        most = self._config.allowances.watched
        is_full = bool(most) and leases.known >= most
        if is_full or not self._newcomers.take(who, now_s=now_s):
            REFUSED.labels("watch").inc()
            return False
        return True

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
        self._written.set()

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
