"""Generations of the balance API: none is given up for good, none is asked too often."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.core.balance_apis import (
    FIRST_WAIT_S,
    GENERATIONS,
    LONGEST_WAIT_S,
    BalanceApis,
)


def gone(apis: BalanceApis, *generations: int, now_s: float = 0.0) -> None:
    for generation in generations:
        apis.note_gone(generation, now_s=now_s)


@pytest.mark.parametrize(
    ("chosen", "order"), [(1, [1, 2, 3]), (2, [2, 3, 1]), (3, [3, 2, 1])]
)
def test_newer_ones_take_over_first_and_older_ones_after_them(
    chosen: int, order: list[int]
) -> None:
    apis = BalanceApis(chosen)
    assert apis.chosen == chosen
    for generation in order:
        assert apis.in_use == generation
        is_last = generation == order[-1]
        assert apis.has_successor(generation) is not is_last
        assert apis.note_gone(generation, now_s=0.0) is not is_last
    assert apis.are_all_gone


def test_the_same_loss_met_by_several_readings_moves_on_once() -> None:
    apis = BalanceApis(1)
    assert apis.note_gone(1, now_s=0.0)
    assert not apis.note_gone(1, now_s=0.1)
    assert apis.in_use == 2


def test_a_generation_that_is_gone_is_tried_again_ever_more_rarely_and_by_one() -> None:
    apis = BalanceApis(1)
    gone(apis, 1)
    tried = []
    for second in range(6 * 3_600):
        if apis.take_trial(now_s=second) == 1:
            tried.append(second)
            assert apis.take_trial(now_s=second) is None
            assert apis.in_use == 2
    waits = [after - before for before, after in zip([0, *tried], tried, strict=False)]
    assert waits[:5] == [300, 600, 1_200, 2_400, 3_600]
    assert set(waits[5:]) == {LONGEST_WAIT_S}


def test_the_chosen_one_is_in_use_again_once_it_answers() -> None:
    apis = BalanceApis(1)
    gone(apis, 1, 2)
    assert apis.take_trial(now_s=FIRST_WAIT_S) == 1
    assert apis.take_trial(now_s=FIRST_WAIT_S) == 2
    assert apis.note_answer(2, now_s=FIRST_WAIT_S)
    assert apis.in_use == 2
    assert apis.note_answer(1, now_s=FIRST_WAIT_S)
    assert apis.in_use == 1
    assert not apis.note_answer(1, now_s=FIRST_WAIT_S + 1)


def test_a_late_answer_to_a_request_from_before_brings_nothing_back() -> None:
    apis = BalanceApis(1)
    gone(apis, 1)
    assert not apis.note_answer(1, now_s=1.0)
    assert apis.in_use == 2


def test_one_that_comes_and_goes_is_tried_as_rarely_as_before() -> None:
    apis = BalanceApis(1)
    gone(apis, 1)
    back_s = FIRST_WAIT_S
    assert apis.take_trial(now_s=back_s) == 1
    apis.note_answer(1, now_s=back_s)
    gone(apis, 1, now_s=back_s + 1)
    # It had come to a wait of ten minutes.
    again_s = back_s + 1 + 4 * FIRST_WAIT_S
    assert apis.take_trial(now_s=again_s - 1) is None
    assert apis.take_trial(now_s=again_s) == 1
    apis.note_answer(1, now_s=again_s)
    # It was there for as long as the longest wait: that was another time.
    later_s = again_s + LONGEST_WAIT_S
    gone(apis, 1, now_s=later_s)
    assert apis.take_trial(now_s=later_s + FIRST_WAIT_S) == 1


def test_where_all_are_gone_each_is_asked_in_turn_and_the_first_to_answer_is_used() -> (
    None
):
    apis = BalanceApis(1)
    gone(apis, 1, 2, 3)
    asked = []
    for second in range(6):
        # There is nothing to fall back to, so a trial would be one request too many.
        assert apis.take_trial(now_s=1e6 + second) is None
        asked.append(apis.in_use)
        assert not apis.note_gone(apis.in_use, now_s=1e6 + second)
    assert asked == [1, 2, 3, 1, 2, 3]
    gone(apis, 1, now_s=1e6 + 7)
    assert apis.note_answer(2, now_s=1e6 + 8)
    assert not apis.are_all_gone
    assert apis.in_use == 2
    # The chosen one was asked a moment ago.
    assert apis.take_trial(now_s=1e6 + 8) is None


@given(
    st.sampled_from(GENERATIONS),
    st.lists(
        st.tuples(st.sampled_from(["gone", "answer", "trial"]), st.integers(0, 2_000))
    ),
)
def test_whatever_happens_there_is_one_to_read_and_the_chosen_one_comes_back(
    chosen: int, events: list[tuple[str, int]]
) -> None:
    apis, now_s, trial = BalanceApis(chosen), 0.0, None
    for event, seconds in events:
        now_s += seconds
        match event:
            case "gone":
                apis.note_gone(apis.in_use, now_s=now_s)
            case "answer":
                apis.note_answer(trial or apis.in_use, now_s=now_s)
            case _:
                trial = apis.take_trial(now_s=now_s)
        assert apis.in_use in GENERATIONS
    # From here on all answer.
    apis.note_answer(apis.in_use, now_s=now_s)
    while apis.in_use != chosen:
        now_s += LONGEST_WAIT_S
        trial = apis.take_trial(now_s=now_s)
        assert trial is not None
        apis.note_answer(trial, now_s=now_s)
    assert apis.in_use == chosen
