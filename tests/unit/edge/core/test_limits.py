"""Rates and counts: what one may do, and that others are not kept from theirs."""

from hypothesis import given
from hypothesis import strategies as st

from edge.core.limits import (
    NO_LIMIT,
    Bucket,
    Buckets,
    Census,
    Conduct,
    Full,
    Rate,
    Spending,
)

SLOW = Rate(per_s=0.5, burst=2)


def test_what_stands_in_the_bucket_may_go_at_once_and_then_no_more() -> None:
    bucket = Bucket(SLOW, now_s=0.0)
    assert [bucket.take(now_s=0.0) for _ in range(3)] == [True, True, False]


def test_a_bucket_fills_up_again_with_time_and_not_beyond() -> None:
    bucket = Bucket(SLOW, now_s=0.0)
    bucket.take(now_s=0.0)
    bucket.take(now_s=0.0)
    assert not bucket.take(now_s=1.9)
    assert bucket.take(now_s=2.0)
    assert [bucket.take(now_s=1_000.0) for _ in range(3)] == [True, True, False]


def test_a_clock_that_steps_back_takes_nothing_away() -> None:
    bucket = Bucket(SLOW, now_s=10.0)
    assert bucket.take(now_s=0.0)
    assert bucket.take(now_s=0.0)


def test_a_burst_of_less_than_one_still_lets_one_through() -> None:
    bucket = Bucket(Rate(per_s=1.0, burst=0.0), now_s=0.0)
    assert [bucket.take(now_s=0.0) for _ in range(2)] == [True, False]


def test_without_a_rate_there_is_no_limit() -> None:
    bucket, buckets = Bucket(NO_LIMIT, now_s=0.0), Buckets[str](NO_LIMIT)
    assert all(bucket.take(now_s=0.0) for _ in range(1_000))
    assert all(buckets.take("a", now_s=0.0) for _ in range(1_000))
    assert len(buckets) == 0


@given(st.lists(st.floats(0, 5), max_size=60), st.integers(1, 5))
def test_never_more_gets_through_than_the_burst_and_what_time_brings(
    waits: list[float], burst: int
) -> None:
    rate = Rate(per_s=0.7, burst=burst)
    bucket, now_s, through = Bucket(rate, now_s=0.0), 0.0, 0
    for wait_s in waits:
        now_s += wait_s
        through += bucket.take(now_s=now_s)
        assert through <= burst + now_s * rate.per_s + 1e-6


def test_each_key_has_a_bucket_of_its_own() -> None:
    buckets = Buckets[str](Rate(per_s=1.0, burst=1))
    assert buckets.take("a", now_s=0.0)
    assert not buckets.take("a", now_s=0.0)
    assert buckets.take("b", now_s=0.0)


def test_buckets_that_are_full_again_are_dropped() -> None:
    buckets = Buckets[int](Rate(per_s=1.0, burst=3))
    for key in range(50):
        buckets.take(key, now_s=0.0)
    assert len(buckets) == 50
    buckets.take(7, now_s=2.0)
    assert len(buckets) == 50
    buckets.take(99, now_s=3.0)
    assert len(buckets) == 2


def test_very_many_are_dropped_some_at_a_time() -> None:
    buckets = Buckets[int](Rate(per_s=1.0, burst=1))
    for key in range(2_500):
        buckets.take(key, now_s=0.0)
    left = []
    for now_s in (10.0, 11.0, 12.0, 13.0):
        buckets.take(-1, now_s=now_s)
        left.append(len(buckets))
    assert left == [1_501, 501, 1, 1]


def test_above_what_is_kept_the_others_share_a_bucket() -> None:
    buckets = Buckets[int](Rate(per_s=1.0, burst=1), most=3)
    assert [buckets.take(key, now_s=0.0) for key in range(5)] == [True] * 4 + [False]
    assert len(buckets) == 3
    assert not buckets.take(1, now_s=0.0)


def test_so_many_are_let_in_of_each_and_in_all() -> None:
    census = Census[str](most=3, most_each=2)
    assert [census.enter("a") for _ in range(3)] == [None, None, Full.ADDRESS]
    assert [census.enter("b") for _ in range(2)] == [None, Full.ALL]
    assert len(census) == 3
    census.leave("a")
    assert census.enter("a") is None


def test_who_has_no_address_counts_only_in_all() -> None:
    census = Census[str](most=2, most_each=1)
    assert [census.enter(None) for _ in range(3)] == [None, None, Full.ALL]
    census.leave(None)
    assert len(census) == 1


def test_zero_counts_without_a_limit() -> None:
    census = Census[str](most=0, most_each=0)
    assert all(census.enter("a") is None for _ in range(100))


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=80))
def test_who_has_left_leaves_no_trace(steps: list[tuple[str, bool]]) -> None:
    census, inside = Census[str](most=6, most_each=3), list[str]()
    for who, enters in steps:
        if enters and census.enter(who) is None:
            inside.append(who)
        elif not enters and who in inside:
            inside.remove(who)
            census.leave(who)
        assert len(census) == len(inside) <= 6
        assert all(inside.count(each) <= 3 for each in "abc")
    for who in inside:
        census.leave(who)
    assert len(census) == 0
    assert [census.enter("a") for _ in range(4)] == [None] * 3 + [Full.ADDRESS]


def test_messages_and_mistakes_are_counted_apart() -> None:
    conduct = Conduct(Rate(1.0, 2), Rate(0.1, 1), now_s=0.0)
    assert [conduct.speaks(now_s=0.0) for _ in range(3)] == [True, True, False]
    assert [conduct.errs(now_s=0.0) for _ in range(2)] == [True, False]


def test_who_spent_more_than_it_had_waits_until_that_is_made_up_for() -> None:
    spending = Spending[str](Rate(per_s=10, burst=100))
    assert spending.wait_s("a", now_s=0.0) == 0.0
    spending.spend("a", 250, now_s=0.0)
    assert spending.wait_s("a", now_s=0.0) == 15.1
    assert spending.wait_s("a", now_s=15.0) > 0
    assert spending.wait_s("a", now_s=15.1) == 0.0
    # Others have their own.
    assert spending.wait_s("b", now_s=0.0) == 0.0


def test_what_is_left_grows_no_further_than_the_burst() -> None:
    spending = Spending[str](Rate(per_s=10, burst=100))
    spending.spend("a", 50, now_s=0.0)
    spending.spend("a", 100, now_s=1_000.0)
    assert spending.wait_s("a", now_s=1_000.0) == 0.1
    # A clock that steps back takes nothing away, and gives nothing.
    assert spending.wait_s("a", now_s=0.0) == 0.1


def test_who_has_all_again_is_forgotten() -> None:
    spending = Spending[str](Rate(per_s=1, burst=10))
    spending.spend("a", 5, now_s=0.0)
    spending.spend("b", 5, now_s=4.0)
    spending.spend("c", 5, now_s=6.0)
    assert len(spending) == 2
    spending.spend("b", 1, now_s=7.0)
    spending.spend("d", 1, now_s=11.5)
    assert len(spending) == 1


def test_beyond_so_many_all_others_share_one_account() -> None:
    spending = Spending[int](Rate(per_s=1, burst=10), most=2)
    for each in range(5):
        spending.spend(each, 6, now_s=0.0)
    assert len(spending) == 3
    assert [spending.wait_s(each, now_s=0.0) > 0 for each in range(6)] == [
        *(False, False),
        *(True, True, True, True),
    ]


def test_without_a_limit_nothing_is_kept() -> None:
    spending = Spending[str](NO_LIMIT)
    spending.spend("a", 1_000_000, now_s=0.0)
    assert spending.wait_s("a", now_s=0.0) == 0.0
    assert len(spending) == 0
