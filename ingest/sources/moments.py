"""The moments of this process's observations, from its clock."""

import logging
from collections.abc import Callable

from ingest.core.moments import ahead_ms, next_moment, not_before, start
from runtime.clock import Clock
from runtime.metrics import CLOCK_BEHIND

_logger = logging.getLogger("ingest.moments")
# What is further in the future is not written: half of what the fold puts up with.
HELD_ABOVE_S = 30.0
_LOOK_AGAIN_S = 1.0


class MomentSource:
    """Gives out moments of observation; each is later than the one before."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last = start(wall_ms=clock.now_ms(), monotonic_s=clock.monotonic_s())
        self._holding = False
        self._resumed: list[Callable[[], None]] = []

    def next_ms(self) -> int:
        """Return the moment of an observation that begins now."""
        self._last = next_moment(
            self._last,
            wall_ms=self._clock.now_ms(),
            monotonic_s=self._clock.monotonic_s(),
        )
        return self._last.last_ms

    def not_before(self, moment_ms: int) -> None:
        """Let all moments to come be later than one that stands in the log."""
        self._last = not_before(self._last, moment_ms)
        CLOCK_BEHIND.set(self.ahead_s())

    def ahead_s(self) -> float:
        """Return how far the next moment would lie in the clock's future."""
        return ahead_ms(self._last, wall_ms=self._clock.now_ms()) / 1000

    def trouble(self) -> str | None:
        """Return why nothing is read, if the clock is why."""
        ahead_s = self.ahead_s()
        if ahead_s <= HELD_ABOVE_S:
            return None
        return (
            f"this clock is {ahead_s:.0f} s behind the newest observation; nothing is "
            "read until it is there, for it would be older than what is held"
        )

    def when_resumed(self, call: Callable[[], None]) -> None:
        """Have this called when reading goes on after it was held."""
        self._resumed.append(call)

    async def in_step(self) -> None:
        """Wait while the next moment would lie in the clock's future.

        An observation of such a moment is refused; one dated by the clock as it stands
        would be older than what is held. So nothing is read until the clock is there.
        """
        while (why := self.trouble()) is not None:
            self._hold(why)
            await self._clock.sleep(_LOOK_AGAIN_S)
            CLOCK_BEHIND.set(self.ahead_s())
        if self._holding:
            self._holding = False
            _logger.warning("the clock is there again, reading goes on")
            for call in self._resumed:
                call()

    def _hold(self, why: str) -> None:
        if self._holding:
            return
        self._holding = True
        _logger.error("clock set back, reading is held", extra={"why": why})
