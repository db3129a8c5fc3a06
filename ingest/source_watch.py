"""Shows which upstreams are silent or repeat old values: readiness, metrics, log lines."""

import logging
from collections.abc import Iterable, Sequence

from ingest.core.silence import (
    Failure,
    SilenceChange,
    SilenceMonitor,
    SourceKind,
    SourceTimes,
    duration,
)
from runtime.clock import Clock
from runtime.metrics import (
    SOURCE_INTERVAL,
    SOURCE_LAST_SUCCESS,
    SOURCE_SAID,
    SOURCE_SILENT,
)
from schemas.prices import PriceObserved

_logger = logging.getLogger("ingest.silence")
_LOOK_EVERY_S = 1.0


class SourceWatch:
    """Follows what becomes of each request, as the clients report it.

    ``ingest.core.silence`` decides. Sources that were not announced with ``expect`` are
    ignored, so that a client works without anybody who watches.
    """

    def __init__(self, clock: Clock, *, floor_s: float = 60.0) -> None:
        self._clock = clock
        self._monitor = SilenceMonitor(floor_s=floor_s)
        self._kinds: dict[str, SourceKind] = {}
        self._times = SourceTimes()
        self._old: set[str] = set()

    def expect(self, source: str, kind: SourceKind, *, interval_s: float) -> None:
        """Follow a source that is asked once an interval."""
        self._kinds[source] = kind
        self._monitor.expect(source, kind, interval_s=interval_s)
        SOURCE_INTERVAL.labels(source, kind.value).set(interval_s)
        SOURCE_SILENT.labels(source, kind.value).set(0)

    def asked(self, source: str) -> None:
        """Note that a request went out."""
        self._monitor.asked(source, now_s=self._clock.monotonic_s())

    def answered(self, source: str) -> None:
        """Note a usable answer."""
        kind = self._kinds.get(source)
        if kind is None:
            return
        self._monitor.answered(source, now_s=self._clock.monotonic_s())
        SOURCE_LAST_SUCCESS.labels(source, kind.value).set(self._clock.now_ms() / 1_000)
        self._show()

    def failed(self, source: str, failure: Failure) -> None:
        """Note a request that gave no usable answer."""
        self._monitor.failed(source, failure, now_s=self._clock.monotonic_s())

    def refused(self, source: str, subject: str, failure: Failure) -> None:
        """Note that a source declined what was asked of one subject."""
        self._monitor.refused(source, subject, failure, now_s=self._clock.monotonic_s())

    def release(self, kind: SourceKind) -> None:
        """Forget how the sources of a kind are: another instance asks them now."""
        if kind is SourceKind.PRICES:
            self._times, self._old = SourceTimes(), set()
        released = [source for source, own in self._kinds.items() if own is kind]
        self._monitor.release(released)
        for source in released:
            SOURCE_SILENT.labels(source, kind.value).set(0)

    def prices(self, source: str, seen: Sequence[PriceObserved]) -> None:
        """Take the prices of one answer: how old are they by the source's own word?"""
        observed_ms = max((one.observed_at for one in seen), default=0)
        times_ms = [one.source_time for one in seen]
        self._times.said(source, times_ms, observed_ms=observed_ms)
        newest_ms = self._times.newest_ms(source)
        if newest_ms is not None:
            SOURCE_SAID.labels(source).set(newest_ms / 1_000)
        self._tell_old(set(self._times.old()))

    def trouble(self) -> str | None:
        """Return which sources are silent, why, and what to do about each."""
        now_s = self._clock.monotonic_s()
        self._monitor.advance(now_s=now_s)
        self._show()
        return _joined(self._monitor.warnings(now_s=now_s))

    def old_values(self) -> str | None:
        """Return which sources repeat old values."""
        return _joined(self._times.warnings())

    async def run(self) -> None:
        """Notice silence as time passes, for ever."""
        while True:
            await self._clock.sleep(_LOOK_EVERY_S)
            self._monitor.advance(now_s=self._clock.monotonic_s())
            self._show()

    def _show(self) -> None:
        for change in self._monitor.changes():
            SOURCE_SILENT.labels(change.source, change.kind.value).set(change.silent)
            _log(change)

    def _tell_old(self, old: set[str]) -> None:
        for source in sorted(old - self._old):
            _logger.warning("source repeats old values", extra={"source": source})
        for source in sorted(self._old - old):
            _logger.info("source gives new values again", extra={"source": source})
        self._old = old


def _log(change: SilenceChange) -> None:
    said = {"source": change.source, "kind": change.kind.value}
    lasted = duration(change.lasted_s)
    if change.silent:
        why = change.failure.why
        _logger.warning("source silent", extra={**said, "for": lasted, "why": why})
    else:
        _logger.info("source heard again", extra={**said, "after": lasted})


def _joined(lines: Iterable[str]) -> str | None:
    return "; ".join(lines) or None
