"""The plan of a run."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.chaos.plan import DECKS, MEDDLING, Kind, as_json, from_json, plan

seeds = st.integers(0, 2**32)
logs = st.sampled_from(sorted(DECKS))
minutes = st.sampled_from([0.3, 1, 2, 10])


@given(seeds, minutes, logs)
def test_a_plan_comes_back_from_its_json(seed: int, minutes: float, log: str) -> None:
    made = plan(seed, minutes, log)
    assert from_json(as_json(made)) == made == plan(seed, minutes, log)


@given(seeds, minutes, logs)
def test_faults_come_in_order_and_within_the_run(
    seed: int, minutes: float, log: str
) -> None:
    times = [fault.at_s for fault in plan(seed, minutes, log).faults]
    assert times == sorted(times)
    assert 0 <= times[0] <= times[-1] <= 60 * minutes


@pytest.mark.parametrize(("minutes", "least"), [(1, 5), (2, 8), (10, 25)])
def test_there_are_enough_faults(minutes: float, least: int) -> None:
    assert len(plan(1, minutes, "kafka").faults) >= least


@given(seeds)
def test_in_two_minutes_every_kind_comes_once(seed: int) -> None:
    kinds = Counter(fault.kind for fault in plan(seed, 2, "kafka").faults)
    assert kinds == Counter(Kind)


@given(seeds)
def test_answers_are_meddled_with_by_kind_of_request(seed: int) -> None:
    for fault in plan(seed, 10, "kafka").faults:
        assert (fault.kind in MEDDLING) == (fault.request is not None)
        assert (fault.count > 0) == (fault.request is not None)
