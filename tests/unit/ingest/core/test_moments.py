"""Moments: forward only, and back with the wall clock in the end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.core.moments import (
    Moments,
    ahead_ms,
    clock_ahead_s,
    next_moment,
    not_before,
    start,
)

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


def test_a_clock_set_back_an_hour_is_waited_for_and_no_longer() -> None:
    moments = start(wall_ms=HOUR_MS, monotonic_s=0.0)
    for second in range(3_600):
        moments = next_moment(
            moments, wall_ms=second * 1_000, monotonic_s=float(second)
        )
    # A millisecond each, until the clock is near; then at half speed.
    assert moments.last_ms < HOUR_MS + 60_000
    assert ahead_ms(moments, wall_ms=HOUR_MS - 1_000) < 61_000
    held = next_moment(
        start(wall_ms=HOUR_MS, monotonic_s=0.0),
        wall_ms=HOUR_MS - 30_000,
        monotonic_s=3_570.0,
    )
    assert held.last_ms == HOUR_MS + 1


def test_how_far_the_next_moment_is_ahead_of_the_clock() -> None:
    moments = start(wall_ms=1_000, monotonic_s=0.0)
    assert ahead_ms(moments, wall_ms=400) == 601
    assert ahead_ms(moments, wall_ms=5_000) == 0


def test_moments_are_later_than_one_that_others_gave_out() -> None:
    moments = not_before(start(wall_ms=1_000, monotonic_s=0.0), 9_000)
    assert next_moment(moments, wall_ms=1_000, monotonic_s=0.0).last_ms == 9_001
    assert not_before(moments, 2_000) == moments


@pytest.mark.parametrize(
    ("headers", "ahead_s"),
    [
        ({"date": "Tue, 14 Nov 2023 22:13:20 GMT"}, 0.0),
        ({"date": "Tue, 14 Nov 2023 21:13:20 GMT"}, 3_600.0),
        ({"date": "Tue, 14 Nov 2023 22:13:20 GMT", "age": "9"}, None),
        ({"date": "soon"}, None),
        ({}, None),
    ],
    ids=["in step", "an hour ahead", "from a cache", "unreadable", "none"],
)
def test_the_clock_is_held_against_that_of_the_host(
    headers: dict[str, str], ahead_s: float | None
) -> None:
    assert clock_ahead_s(headers, now_ms=1_700_000_000_500) == ahead_s


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
