"""When a shard says how far it has read, and what it may say."""

from collections.abc import Mapping

from eventlog.port import Entry, EventLog, Partition
from processor.config import ProcessorConfig
from runtime.clock import Clock
from schemas.base import encode
from schemas.latest import watermark_key
from schemas.log import Watermark


class Watermarks:
    """The watermarks of one shard; they never step back.

    ``log_now_ms`` is an append time just seen. Whatever this machine's clock says, the
    log's is not behind that, and goes on from there.
    """

    def __init__(
        self,
        shard: int,
        log: EventLog,
        *,
        config: ProcessorConfig,
        clock: Clock,
        log_now_ms: int,
    ) -> None:
        self._shard, self._log = shard, log
        self._config, self._clock = config, clock
        self._last_ms = 0
        self._written_s: float | None = None
        self._seen_ms, self._seen_s = log_now_ms, clock.monotonic_s()

    def riding(self, log_time_ms: int) -> list[Entry]:
        """Return what a commit takes along when it is time: its own log time."""
        if log_time_ms > self._log_now_ms():
            self._seen_ms, self._seen_s = log_time_ms, self._clock.monotonic_s()
        if not self._is_due(self._config.watermark_s):
            return []
        return [self._entry(log_time_ms)]

    def due_when_idle(self) -> bool:
        """Tell whether nothing was written for so long that a watermark must be."""
        return self._is_due(self._config.idle_watermark_s)

    async def when_idle(
        self, positions: Mapping[Partition, int], log_time_ms: int
    ) -> Entry:
        """Return the watermark of a shard that has folded all before ``positions``.

        That is the time at which the ends were asked for, if they are no further: by the
        log's clock, of which we know that it is not behind what we say.
        """
        asked_ms = self._log_now_ms()
        ends = await self._log.ends(list(positions))
        at_end = all(positions[at] >= end for at, end in ends.items())
        return self._entry(asked_ms if at_end else log_time_ms)

    def _log_now_ms(self) -> int:
        passed_s = self._clock.monotonic_s() - self._seen_s
        return self._seen_ms + int(passed_s * 1_000)

    def _is_due(self, every_s: float) -> bool:
        written_s = self._written_s
        return written_s is None or self._clock.monotonic_s() - written_s >= every_s

    def _entry(self, time_ms: int) -> Entry:
        self._last_ms = max(self._last_ms, time_ms)
        self._written_s = self._clock.monotonic_s()
        mark = Watermark(shard=self._shard, log_time=self._last_ms)
        return Entry(watermark_key(self._shard), encode(mark))
