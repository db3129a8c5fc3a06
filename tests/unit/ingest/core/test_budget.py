"""The budget of a host and the breaker of a source."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.core.budget import (
    OPENS_AFTER,
    Breaker,
    Budget,
    Limits,
    block,
    failed,
    full,
    is_open,
    is_tripped,
    learn,
    says_limits,
    slowness,
    spend,
    succeeded,
    wait_s,
)

MONTH_S = 30 * 86_400


def taken(budget: Budget, until_s: float) -> list[float]:
    """Take requests as fast as the budget allows; return when each went out."""
    now_s, times = 0.0, []
    while now_s < until_s:
        wait = wait_s(budget, now_s=now_s)
        # A hair more than asked: a clock never wakes early.
        now_s += wait and wait + 1e-6
        budget = spend(budget, now_s=now_s)
        times.append(now_s)
    return times


@given(st.integers(10, 1_000), st.one_of(st.none(), st.integers(1, 20)))
def test_in_no_minute_more_goes_out_than_the_limit(
    per_minute: int, per_second: int | None
) -> None:
    limits = Limits(per_minute, per_second=per_second)
    times = taken(full(limits, now_s=0.0), until_s=130.0)
    most = max(sum(s <= t < s + 60 for t in times) for s in times[:: len(times) // 9])
    assert most <= per_minute + 1


def test_a_burst_is_no_larger_than_a_second_may_have() -> None:
    assert Limits(6_000).burst == pytest.approx(600)
    assert Limits(6_000, per_second=20).burst == 20
    assert Limits(1).burst == 1


def test_the_month_binds_where_it_is_the_smaller_limit() -> None:
    limits = Limits(900, per_month=150_000)
    assert limits.rate_s == pytest.approx(150_000 / MONTH_S)
    times = taken(full(limits, now_s=0.0), until_s=7_200.0)
    # An hour's share at once, and two hours' rate.
    assert len(times) == pytest.approx(3 * 150_000 / 720, rel=0.02)


def test_after_a_429_nobody_goes_out_until_it_is_over() -> None:
    budget = block(full(Limits(600), now_s=0.0), now_s=0.0, for_s=30.0)
    assert wait_s(budget, now_s=10.0) == pytest.approx(20.0)
    shorter = block(budget, now_s=10.0, for_s=1.0)
    assert wait_s(shorter, now_s=10.0) == pytest.approx(20.0)
    assert wait_s(budget, now_s=30.2) == 0


def test_a_clock_that_stands_still_fills_nothing() -> None:
    budget = spend(full(Limits(60), now_s=9.0), now_s=9.0, cost=6.0)
    assert wait_s(budget, now_s=8.0) == wait_s(budget, now_s=9.0) > 0


@pytest.mark.parametrize("claimed", ["5", "1000", "999999999999"])
def test_an_answer_costs_a_burst_at_most_whatever_it_claims(claimed: str) -> None:
    budget = spend(full(Limits(600, per_month=10**6), now_s=0.0), now_s=0.0)
    after = learn(budget, {"x-ratelimit-cost-stacks": claimed}, now_s=0.0)
    assert after.minute >= budget.minute - budget.limits.burst
    assert wait_s(after, now_s=0.0) <= budget.limits.burst / budget.rate_s + 1


@pytest.mark.parametrize("per_month", ["0", "1", "43200", "100000"])
def test_no_month_and_cost_together_keep_the_next_answer_away(per_month: str) -> None:
    budget = full(Limits(900, per_month=500_000, per_second=50), now_s=0.0)
    said = {"x-ratelimit-limit-month": per_month, "x-ratelimit-cost-stacks": "9" * 12}
    for _ in range(20):
        budget = learn(budget, said, now_s=0.0)
    assert wait_s(budget, now_s=0.0) <= 400


def test_many_answers_at_once_overdraw_by_a_burst_at_most() -> None:
    budget = full(Limits(60), now_s=0.0)
    for _ in range(100):
        budget = learn(budget, {"x-ratelimit-cost-stacks": "9" * 12}, now_s=0.0)
    assert budget.minute == -budget.limits.burst


@pytest.mark.parametrize(
    "said",
    [
        {"ratelimit-limit": "1"},
        {"x-ratelimit-limit-stacks-month": "1"},
        {"x-ratelimit-limit-stacks-second": "0", "ratelimit-remaining": "0"},
        {"x-ratelimit-limit-day": "1"},
        {"x-ratelimit-limit-stacks-month": "1", "x-ratelimit-remaining-month": "0"},
    ],
)
@pytest.mark.parametrize("setting", [Limits(60), Limits(500, per_month=150_000)])
def test_the_next_answer_comes_within_a_minute_and_replaces_what_was_learnt(
    said: dict[str, str], setting: Limits
) -> None:
    narrow = learn(full(setting, now_s=0.0), said, now_s=0.0)
    first = wait_s(narrow, now_s=0.0)
    wait = wait_s(spend(narrow, now_s=first), now_s=first)
    assert max(first, wait) <= 60.001
    assert narrow.rate_s >= 1 / 60
    wider = learn(narrow, {"ratelimit-limit": "900000"}, now_s=wait)
    assert wider.limits.rate_s == setting.rate_s
    silent = learn(narrow, {}, now_s=wait)
    assert silent.limits == setting
    assert not silent.is_narrowed
    assert (silent.month is None) is (setting.per_month is None)


def test_a_setting_below_one_a_minute_is_kept_to() -> None:
    budget = spend(full(Limits(600, per_month=1_000), now_s=0.0), now_s=0.0)
    budget = spend(budget, now_s=0.0)
    assert wait_s(budget, now_s=0.0) > 2_592
    assert learn(budget, {}, now_s=0.0).rate_s == pytest.approx(1_000 / MONTH_S)


@pytest.mark.parametrize(
    ("headers", "per_minute"),
    [
        pytest.param({"x-ratelimit-limit-second": "2"}, 120, id="a second"),
        pytest.param({"x-ratelimit-limit-hour": "600"}, 10, id="an hour"),
        pytest.param({"x-ratelimit-limit-day": "14400"}, 10, id="a day"),
        pytest.param(
            {"x-ratelimit-limit-stacks-minute": "50", "ratelimit-limit": "5"},
            50,
            id="the name of a window goes first",
        ),
        pytest.param(
            {"x-ratelimit-limit-month": "15000", "ratelimit-limit": "15000"},
            500,
            id="another window's number without a name",
        ),
        pytest.param(
            {"ratelimit-limit": "9", "ratelimit-reset": "3600"},
            500,
            id="reset in an hour",
        ),
        pytest.param(
            {"ratelimit-limit": "9", "ratelimit-reset": "30"}, 9, id="reset in time"
        ),
        pytest.param(
            {"ratelimit-limit": "9", "ratelimit-reset": "1700000000"},
            9,
            id="reset at a time of day",
        ),
        pytest.param(
            {"ratelimit-limit": "10, 10;w=1, 50;w=60, 9999;w=0"}, 50, id="policies"
        ),
        pytest.param({"x-ratelimit-limit": "40"}, 40, id="the older name"),
        pytest.param({"ratelimit-limit": "many"}, 500, id="not readable"),
    ],
)
def test_a_limit_counts_for_the_window_it_is_of(
    headers: dict[str, str], per_minute: int
) -> None:
    learnt = learn(full(Limits(500), now_s=0.0), headers, now_s=0.0)
    assert learnt.limits.per_minute == per_minute


def test_what_is_left_of_another_window_is_not_left_of_the_minute() -> None:
    headers = {"ratelimit-remaining": "0", "ratelimit-reset": "3600"}
    budget = full(Limits(500), now_s=0.0)
    assert learn(budget, headers, now_s=0.0).minute == budget.minute


@pytest.mark.parametrize(
    ("headers", "says"),
    [
        ({}, False),
        ({"retry-after": "5"}, False),
        ({"ratelimit-limit": "5"}, True),
        ({"x-ratelimit-limit-stacks-second": "5"}, True),
        ({"x-ratelimit-limit-month": "5"}, True),
    ],
)
def test_an_answer_says_something_of_limits_or_not(
    headers: dict[str, str], says: bool
) -> None:
    assert says_limits(headers) is says


def test_it_is_told_why_a_host_is_asked_less_often_than_is_set() -> None:
    budget = full(Limits(60), now_s=0.0)
    assert slowness(budget, 0.0, now_s=0.0) is None
    assert slowness(budget, 0.9, now_s=0.0) is None
    assert slowness(budget, 2.0, now_s=0.0) == (
        "the settings allow 54 requests a minute, "
        "120 are needed for the intervals that are set"
    )
    narrow = learn(budget, {"ratelimit-limit": "1"}, now_s=0.0)
    assert slowness(narrow, 0.5, now_s=0.0) == (
        "it allows 1 requests a minute, 30 are needed for the intervals that are set"
    )
    blocked = block(budget, now_s=0.0, for_s=600.0)
    assert slowness(blocked, 1 / 300, now_s=0.0) == (
        "it asks us to wait for another 600 s"
    )
    assert slowness(blocked, 1 / 300, now_s=400.0) is None


def test_headers_tighten_the_budget_and_never_widen_it() -> None:
    budget = full(Limits(600), now_s=0.0)
    tighter = learn(
        budget,
        {
            "x-ratelimit-limit-stacks-minute": "60",
            "x-ratelimit-remaining-stacks-minute": "0",
            "x-ratelimit-limit-stacks-month": "1000",
            "x-ratelimit-remaining-stacks-month": "1",
        },
        now_s=0.0,
    )
    assert tighter.limits == Limits(60, per_month=1_000)
    assert (tighter.minute, tighter.month) == (0, 1)
    wider = learn(budget, {"ratelimit-limit": "9000"}, now_s=0.0)
    assert wider.limits == budget.limits
    assert learn(wider, {"ratelimit-remaining": "many"}, now_s=0.0) == wider


def test_a_request_that_cost_more_is_paid_for() -> None:
    budget = full(Limits(600, per_month=10**6), now_s=0.0)
    after = learn(budget, {"x-ratelimit-cost-stacks": "5"}, now_s=0.0)
    assert after.minute == pytest.approx(budget.minute - 4)
    assert after.month == pytest.approx((budget.month or 0) - 4)


def test_a_month_nearly_used_up_is_known_from_the_headers() -> None:
    budget = full(Limits(600, per_month=720_000), now_s=0.0)
    empty = learn(budget, {"x-ratelimit-remaining-stacks-month": "0"}, now_s=0.0)
    assert wait_s(empty, now_s=0.0) == pytest.approx(3.6)


def test_the_breaker_opens_after_failures_in_a_row_and_for_longer_each_time() -> None:
    breaker = Breaker()
    for _ in range(OPENS_AFTER - 1):
        breaker = failed(breaker, now_s=0.0, draw=1.0)
    assert not is_open(breaker, now_s=0.0)
    first = failed(breaker, now_s=0.0, draw=1.0)
    assert is_open(first, now_s=14.9)
    assert not is_open(first, now_s=15.0)
    second = failed(first, now_s=15.0, draw=1.0)
    assert is_open(second, now_s=44.9)
    assert not is_open(succeeded(), now_s=0.0)


def test_the_breaker_is_open_for_a_minute_at_most() -> None:
    breaker = Breaker(failures=10_000)
    assert not is_open(failed(breaker, now_s=0.0, draw=1.0), now_s=60.0)


def test_what_fails_while_the_breaker_is_open_was_asked_before() -> None:
    breaker = Breaker()
    for _ in range(OPENS_AFTER + 20):
        breaker = failed(breaker, now_s=0.0, draw=1.0)
    assert breaker.failures == OPENS_AFTER
    assert not is_open(breaker, now_s=15.0)


def test_a_source_has_to_show_that_it_is_back_until_it_does() -> None:
    assert not is_tripped(Breaker(failures=OPENS_AFTER - 1))
    assert is_tripped(Breaker(failures=OPENS_AFTER))
    assert not is_tripped(succeeded())
