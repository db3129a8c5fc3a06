"""When a snapshot is due."""

import pytest

from audit.core.pace import Mark, is_due

DAY_MS = 86_400_000
LAST = Mark(10 * DAY_MS + 5, 1_000)


@pytest.mark.parametrize(
    ("now", "due"),
    [
        pytest.param(LAST, False, id="nothing new"),
        pytest.param(Mark(11 * DAY_MS - 1, 1_500), False, id="the same day"),
        pytest.param(Mark(11 * DAY_MS, 1_001), True, id="another day"),
        pytest.param(Mark(20 * DAY_MS, 1_000), False, id="another day, nothing read"),
        pytest.param(Mark(10 * DAY_MS + 5, 1_999), False, id="not enough"),
        pytest.param(Mark(10 * DAY_MS + 5, 2_000), True, id="enough"),
    ],
)
def test_a_snapshot_is_due_each_day_and_after_so_much(now: Mark, due: bool) -> None:
    assert is_due(LAST, now, interval_ms=DAY_MS, observations=1_000) is due
