"""A trouble that lasts, in the log: a line when it begins, some while it lasts, one at its end.

A loop that tries again five times a second must not write five lines a second, least of
all onto a disk that is full.
"""

import logging
from collections.abc import Callable

from .clock import SystemClock

_CLOCK = SystemClock()

# While a trouble lasts it is logged again after this long.
EVERY_S = 30.0


class Trouble:
    """One kind of trouble at one place; used by one thread.

    ``event`` is logged as a warning when the trouble begins and then at most every
    ``every_s``, with ``times`` (how often it happened) and ``lasts_s``. ``ended`` is logged
    when it is over. A trouble that comes and goes is logged no more often than one that
    lasts: what happens within ``every_s`` of the last warning is only counted.
    """

    def __init__(
        self,
        logger: logging.Logger,
        event: str,
        ended: str,
        *,
        monotonic_s: Callable[[], float] = _CLOCK.monotonic_s,
        every_s: float = EVERY_S,
    ) -> None:
        self._logger, self._event, self._ended = logger, event, ended
        self._monotonic_s, self._every_s = monotonic_s, every_s
        self._warned_s: float | None = None
        self._began_s: float | None = None
        self._times = 0
        # Whether a warning stands in the log that no line has taken back.
        self._is_told = False

    def happened(self, **fields: object) -> None:
        """Note that it happened now; ``fields`` are those of the line, if there is one."""
        now_s = self._monotonic_s()
        if self._began_s is None:
            self._began_s = now_s
        self._times += 1
        if self._warned_s is not None and now_s - self._warned_s < self._every_s:
            return
        again = self._how_long(now_s, "lasts_s") if self._times > 1 else {}
        self._logger.warning(self._event, extra={**fields, **again})
        self._warned_s, self._is_told = now_s, True

    def over(self) -> None:
        """Note that all is well; nothing is logged where nothing was told."""
        if self._is_told:
            ended = self._how_long(self._monotonic_s(), "lasted_s")
            self._logger.info(self._ended, extra=ended)
            self._times, self._is_told = 0, False
        self._began_s = None

    def _how_long(self, now_s: float, name: str) -> dict[str, object]:
        began_s = now_s if self._began_s is None else self._began_s
        return {"times": self._times, name: round(now_s - began_s, 1)}
