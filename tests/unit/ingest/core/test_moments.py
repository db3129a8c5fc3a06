"""Moments: forward only, and back with the wall clock in the end."""

from hypothesis import given
from hypothesis import strategies as st

from ingest.core.moments import Moments, next_moment, start

HOUR_MS = 3_600_000


def test_moments_go_with_the_clock_while_it_runs_evenly() -> None:
    first = start(wall_ms=1_000, monotonic_s=5.0)
    assert next_moment(first, wall_ms=3_000, monotonic_s=7.0).last_ms == 3_000


def test_a_clock_set_back_makes_moments_closer_not_earlier() -> None:
    first = start(wall_ms=HOUR_MS, monotonic_s=0.0)
    second = next_moment(first, wall_ms=HOUR_MS - 30_000, monotonic_s=10.0)
    assert second.last_ms == HOUR_MS + 5_000
    later = second
    for second_s in range(11, 90):
        wall_ms = HOUR_MS - 40_000 + second_s * 1_000
        later = next_moment(later, wall_ms=wall_ms, monotonic_s=float(second_s))
    assert later.last_ms == HOUR_MS + 49_000


def test_a_clock_a_little_ahead_is_followed_slowly() -> None:
    first = start(wall_ms=0, monotonic_s=0.0)
    assert next_moment(first, wall_ms=11_000, monotonic_s=1.0).last_ms == 1_500


def test_after_a_sleep_of_the_machine_the_wall_clock_is_right() -> None:
    first = start(wall_ms=0, monotonic_s=0.0)
    woken = next_moment(first, wall_ms=HOUR_MS, monotonic_s=1.0)
    assert woken == Moments(last_ms=HOUR_MS, at_s=1.0)


@given(st.lists(st.tuples(st.integers(0, 10**9), st.floats(-5, 100)), max_size=30))
def test_every_moment_is_later_than_the_one_before(
    steps: list[tuple[int, float]],
) -> None:
    moments, now_s = start(wall_ms=10**6, monotonic_s=0.0), 0.0
    for wall_ms, step_s in steps:
        now_s += step_s
        after = next_moment(moments, wall_ms=wall_ms, monotonic_s=now_s)
        assert after.last_ms > moments.last_ms
        moments = after
