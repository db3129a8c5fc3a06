"""When a shard that is followed has earned a snapshot."""

from typing import NamedTuple


class Mark(NamedTuple):
    """How far a shard was when its last snapshot was taken, or when it was begun."""

    log_time_ms: int
    observations: int


def is_due(last: Mark, now: Mark, *, interval_ms: int, observations: int) -> bool:
    """Tell whether log time has come into another interval, or enough was read.

    Intervals are counted from 1970, so that those of all shards and runs are the same.
    """
    if now.observations == last.observations:
        return False
    another = now.log_time_ms // interval_ms > last.log_time_ms // interval_ms
    return another or now.observations - last.observations >= observations
