"""A peer that sends more than it can have to say."""

import pytest

from ingest.core.flood import Flood


def a_flood() -> Flood:
    return Flood(max_bytes=100, max_frames=3, window_s=10.0)


@pytest.mark.parametrize(("count", "flooded"), [(100, False), (101, True)])
def test_bytes_of_a_window_are_bounded(count: int, flooded: bool) -> None:
    flood = a_flood()
    flood.take_bytes(count, now_s=0.0)
    assert flood.is_flooded is flooded


@pytest.mark.parametrize(("count", "flooded"), [(3, False), (4, True)])
def test_frames_of_a_window_are_bounded(count: int, flooded: bool) -> None:
    flood = a_flood()
    for _ in range(count):
        flood.take_frame(now_s=5.0)
    assert flood.is_flooded is flooded


def test_each_window_begins_anew() -> None:
    flood = a_flood()
    for second in range(100):
        flood.take_bytes(9, now_s=float(second))
        assert not flood.is_flooded
    flood.take_bytes(50, now_s=99.0)
    assert flood.is_flooded
