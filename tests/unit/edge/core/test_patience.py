from hypothesis import given
from hypothesis import strategies as st

from edge.core.patience import Progress, Pulse, Timetable, delay_s, is_late


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


def test_a_client_stalls_while_nothing_is_taken() -> None:
    progress = Progress()
    assert progress.stalled_s(100, now_s=10) == 0
    assert progress.stalled_s(100, now_s=15) == 5
    # A ping on top of it is no progress; what is taken is, however little.
    assert progress.stalled_s(102, now_s=20) == 10
    assert progress.stalled_s(101, now_s=25) == 0
    assert progress.stalled_s(101, now_s=30) == 5
    progress.took()
    assert progress.stalled_s(200, now_s=31) == 0


def test_tasks_come_each_in_its_interval() -> None:
    table = Timetable({"a": 2, "b": 5}, now_s=0)
    assert (table.wait_s(now_s=0), table.due(now_s=1)) == (2, [])
    assert table.due(now_s=2) == ["a"]
    assert table.due(now_s=5) == ["a", "b"]
    assert table.wait_s(now_s=5) == 2
    # What was missed is not made up for.
    assert table.due(now_s=50) == ["a", "b"]
    assert (table.due(now_s=51), table.wait_s(now_s=51)) == ([], 1)
    assert table.wait_s(now_s=60) == 0
