"""Moments of observation: the wall clock's time, made to run forward only."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from ingest.core.headers import http_date_s

# How much faster or slower than the monotonic clock our time may run while it follows
# the wall clock. Half speed makes up a clock that was set back as fast as observations
# can stay apart; the fold refuses what is a minute ahead.
SLEW = 0.5
# A wall clock this far from where it should be was set, or the machine slept.
_SET_MS = 60_000


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
    back a little makes moments closer, never earlier. One that is set back by more
    makes them stand nearly still until it is there again.
    """
    elapsed_ms = max(0.0, monotonic_s - moments.at_s) * 1000
    error_ms = wall_ms - (moments.last_ms + elapsed_ms)
    if error_ms > _SET_MS:
        return Moments(last_ms=wall_ms, at_s=monotonic_s)
    if error_ms < -_SET_MS:
        return Moments(last_ms=moments.last_ms + 1, at_s=monotonic_s)
    room_ms = elapsed_ms * SLEW
    slewed_ms = elapsed_ms + min(room_ms, max(-room_ms, error_ms))
    return Moments(last_ms=moments.last_ms + max(1, round(slewed_ms)), at_s=monotonic_s)


def not_before(moments: Moments, moment_ms: int) -> Moments:
    """Let all moments to come be later than one that others gave out."""
    return replace(moments, last_ms=max(moments.last_ms, moment_ms))


def ahead_ms(moments: Moments, *, wall_ms: int) -> int:
    """Return how far the next moment would lie in the wall clock's future; 0 if not."""
    return max(0, moments.last_ms + 1 - wall_ms)


def clock_ahead_s(headers: Mapping[str, str], *, now_ms: int) -> float | None:
    """Return how far our clock is ahead of an answer's ``date``; ``None`` if it has none.

    ``headers`` have lower-case names. A copy from a cache tells nothing.
    """
    if "age" in headers:
        return None
    said_s = http_date_s(headers.get("date", ""))
    # The header has whole seconds: half a second is its middle.
    return None if said_s is None else now_ms / 1000 - said_s - 0.5
