"""Moments of observation: the wall clock's time, made to run forward only."""

from dataclasses import dataclass

# How much faster or slower than the monotonic clock our time may run while it follows
# the wall clock. Half speed makes up a clock that was set back as fast as observations
# can stay apart; the fold refuses what is a minute ahead.
SLEW = 0.5
# A wall clock that is this far ahead was not set: the machine slept.
_SLEPT_MS = 60_000


@dataclass(frozen=True, slots=True)
class Moments:
    """The last moment given out, and the monotonic time at which it was."""

    last_ms: int
    at_s: float


def start(*, wall_ms: int, monotonic_s: float) -> Moments:
    """Begin at the wall clock's time."""
    return Moments(last_ms=wall_ms, at_s=monotonic_s)


def next_moment(moments: Moments, *, wall_ms: int, monotonic_s: float) -> Moments:
    """Give out the next moment: later than every one before, by a millisecond at least.

    It goes with monotonic time, slewed towards the wall clock, so a clock that is set
    back makes moments closer, never earlier.
    """
    elapsed_ms = max(0.0, monotonic_s - moments.at_s) * 1000
    error_ms = wall_ms - (moments.last_ms + elapsed_ms)
    if error_ms > _SLEPT_MS:
        return Moments(last_ms=wall_ms, at_s=monotonic_s)
    room_ms = elapsed_ms * SLEW
    slewed_ms = elapsed_ms + min(room_ms, max(-room_ms, error_ms))
    return Moments(last_ms=moments.last_ms + max(1, round(slewed_ms)), at_s=monotonic_s)
