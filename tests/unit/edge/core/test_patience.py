from hypothesis import given
from hypothesis import strategies as st

from edge.core.patience import Pulse, delay_s, is_late


@given(st.integers(0, 10_000), st.floats(0, 1, exclude_max=True))
def test_a_wait_is_never_short_and_never_long(attempt: int, draw: float) -> None:
    assert 0.1 <= delay_s(attempt, draw=draw) <= 5.0


def test_waits_double_up_to_the_longest() -> None:
    waits = [delay_s(attempt, draw=1.0) for attempt in (0, 1, 2, 5, 9)]
    assert waits == [0.2, 0.4, 0.8, 5.0, 5.0]


def test_a_timer_is_late_when_more_than_a_second_was_lost() -> None:
    assert is_late(21.1, planned_s=20.0)
    assert not is_late(20.9, planned_s=20.0)


def test_who_answers_is_pinged_again_and_again() -> None:
    pulse = Pulse()
    for _ in range(3):
        assert pulse.beat(late=False)
        pulse.heard()


def test_who_gives_no_sign_between_two_beats_is_gone() -> None:
    pulse = Pulse()
    assert pulse.beat(late=False)
    assert not pulse.beat(late=False)


def test_a_late_beat_judges_nobody_but_the_next_one_does() -> None:
    pulse = Pulse()
    pulse.beat(late=False)
    assert pulse.beat(late=True)
    assert not pulse.beat(late=False)
