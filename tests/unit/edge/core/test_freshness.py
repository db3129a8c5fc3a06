"""When the table counts as stale, and what is said of it."""

from collections.abc import Mapping

import pytest

from edge.core.freshness import (
    NEVER,
    Newest,
    newest_of,
    old_because,
    oldest_ms,
    stale_because,
)
from schemas.log import Observed

NOW_MS = 1_000_000


@pytest.mark.parametrize(
    ("watermarks_ms", "silent_s", "said"),
    [
        ({0: NOW_MS, 1: NOW_MS - 30_000}, 0.0, None),
        ({0: NOW_MS + 3_600_000, 1: NOW_MS}, 30.0, None),
        ({0: NOW_MS, 1: NOW_MS - 45_500}, 0.0, "shard 1 is processed up to 45 s ago"),
        ({1: NOW_MS}, 0.0, "shard 0 was never processed"),
        ({}, 0.0, "shard 0 was never processed; shard 1 was never processed"),
        ({0: 0, 1: 0}, 31.0, "the log has not answered for 31 s"),
    ],
    ids=["fresh", "ahead of our clock", "behind", "one unknown", "new log", "silent"],
)
def test_what_may_be_old_is_said(
    watermarks_ms: Mapping[int, int], silent_s: float, said: str | None
) -> None:
    found = stale_because(
        watermarks_ms, shards=2, silent_s=silent_s, now_ms=NOW_MS, limit_s=30.0
    )
    assert found == said


@pytest.mark.parametrize(
    ("watermarks_ms", "oldest"), [({0: 5, 1: 3}, 3), ({0: 5}, 0), ({}, 0)]
)
def test_the_oldest_watermark_is_that_of_the_shard_furthest_behind(
    watermarks_ms: Mapping[int, int], oldest: int
) -> None:
    assert oldest_ms(watermarks_ms, shards=2) == oldest


def test_what_is_newest_is_so_over_all_shards_and_by_kind() -> None:
    shards = [
        Observed(shard=0, prices=5, balances=None, tokens=None),
        Observed(shard=1, prices=3, balances=7, tokens=None),
    ]
    assert newest_of(shards) == Newest(prices=5, balances=7, tokens=None)
    assert newest_of([]) == NEVER


@pytest.mark.parametrize(
    ("prices_ms", "said"),
    [
        (None, None),
        (NOW_MS + 5_000, None),
        (NOW_MS - 60_000, None),
        (NOW_MS - 60_001, "the newest price was observed 60 s ago"),
    ],
    ids=["never observed", "ahead of our clock", "just in time", "old"],
)
def test_prices_are_old_when_nobody_observed_one_for_long(
    prices_ms: int | None, said: str | None
) -> None:
    newest = Newest(prices=prices_ms, balances=1, tokens=1)
    assert old_because(newest, now_ms=NOW_MS, limit_s=60.0) == said
