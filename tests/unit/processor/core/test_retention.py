"""How near a shard is to losing observations, and how a loss is named."""

import math

import pytest

from processor.core.retention import Gap, gap_between, in_danger, margin_s

HOUR_MS = 3_600_000


@pytest.mark.parametrize(
    ("position", "oldest", "missing"),
    [(5, 0, None), (5, 5, None), (5, 6, (5, 5)), (5, 99, (5, 98))],
    ids=["all there", "just there", "one", "many"],
)
def test_what_stood_between_position_and_oldest_is_missing(
    position: int, oldest: int, missing: tuple[int, int] | None
) -> None:
    gap = gap_between("prices.raw", 1, position=position, oldest=oldest)
    assert gap == (None if missing is None else Gap("prices.raw", 1, *missing))


def test_a_gap_is_named_by_its_beginning_and_counted() -> None:
    gap = Gap("prices.raw", 1, first=5, last=98)
    assert (gap.name, gap.count) == ("prices.raw[1]@5", 94)


@pytest.mark.parametrize(
    ("age_ms", "retention_ms", "left_s"),
    [
        (None, HOUR_MS, math.inf),
        (1_000, None, math.inf),
        (1_000, HOUR_MS, 3_599.0),
        (HOUR_MS + 2_000, HOUR_MS, -2.0),
    ],
    ids=["nothing waits", "kept for ever", "young", "overdue"],
)
def test_the_margin_is_the_time_until_the_next_record_may_go(
    age_ms: int | None, retention_ms: int | None, left_s: float
) -> None:
    assert margin_s(age_ms, retention_ms=retention_ms) == left_s


@pytest.mark.parametrize(
    ("margin", "retention_ms", "danger"),
    [
        (math.inf, HOUR_MS, False),
        (math.inf, None, False),
        (361.0, HOUR_MS, False),
        (359.0, HOUR_MS, True),
        (-5.0, HOUR_MS, True),
    ],
)
def test_danger_begins_below_a_tenth_of_the_retention(
    margin: float, retention_ms: int | None, danger: bool
) -> None:
    assert in_danger(margin, retention_ms=retention_ms) is danger
