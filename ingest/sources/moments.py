"""The moments of this process's observations, from its clock."""

from ingest.core.moments import next_moment, start
from runtime.clock import Clock


class MomentSource:
    """Gives out moments of observation; each is later than the one before."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last = start(wall_ms=clock.now_ms(), monotonic_s=clock.monotonic_s())

    def next_ms(self) -> int:
        """Return the moment of an observation that begins now."""
        self._last = next_moment(
            self._last,
            wall_ms=self._clock.now_ms(),
            monotonic_s=self._clock.monotonic_s(),
        )
        return self._last.last_ms
