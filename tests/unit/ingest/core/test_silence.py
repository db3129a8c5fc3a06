"""Which sources are silent, on a clock that is a number."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.core.silence import (
    SUBJECTS,
    Cause,
    Failure,
    SilenceMonitor,
    SourceKind,
    SourceTimes,
    duration,
    remedy,
)

MISSING = Failure("status 404", Cause.MISSING)
DECLINED = Failure("status 400", Cause.DECLINED)
HOUR_MS = 3_600_000
NOW_MS = 1_760_000_000_000


def monitor(*, interval_s: float = 300.0, floor_s: float = 60.0) -> SilenceMonitor:
    """A monitor of one source, ``kraxel``."""
    made = SilenceMonitor(floor_s=floor_s)
    made.expect("kraxel", SourceKind.PRICES, interval_s=interval_s)
    return made


def is_silent(watched: SilenceMonitor, now_s: float) -> bool:
    watched.advance(now_s=now_s)
    return watched.silent() == ["kraxel"]


def test_a_source_that_never_answers_is_silent_two_intervals_after_it_was_asked() -> (
    None
):
    watched = monitor()
    assert not is_silent(watched, 9_999.0)
    watched.asked("kraxel", now_s=10_000.0)
    watched.asked("kraxel", now_s=10_300.0)
    assert not is_silent(watched, 10_599.0)
    assert is_silent(watched, 10_600.0)


def test_a_source_that_stops_answering_is_silent_two_intervals_after_its_last_answer() -> (
    None
):
    watched = monitor()
    watched.asked("kraxel", now_s=0.0)
    watched.answered("kraxel", now_s=1.0)
    assert not is_silent(watched, 299.0)
    watched.asked("kraxel", now_s=300.0)
    watched.failed("kraxel", MISSING, now_s=301.0)
    assert not is_silent(watched, 600.0)
    assert is_silent(watched, 601.0)


def test_a_source_asked_every_few_seconds_has_the_floor() -> None:
    watched = monitor(interval_s=3.0)
    watched.answered("kraxel", now_s=0.0)
    watched.asked("kraxel", now_s=3.0)
    assert not is_silent(watched, 59.0)
    assert is_silent(watched, 60.0)


def test_a_source_that_was_not_asked_for_long_gets_an_interval_to_answer() -> None:
    watched = monitor()
    watched.answered("kraxel", now_s=0.0)
    watched.asked("kraxel", now_s=5_000.0)
    assert not is_silent(watched, 5_299.0)
    assert is_silent(watched, 5_300.0)


def test_silence_ends_with_the_next_answer_and_each_change_is_told_once() -> None:
    watched = monitor()
    watched.asked("kraxel", now_s=0.0)
    for now_s in (600.0, 700.0):
        watched.advance(now_s=now_s)
    watched.answered("kraxel", now_s=900.0)
    watched.answered("kraxel", now_s=901.0)
    assert watched.warnings(now_s=901.0) == []
    began, ended = watched.changes()
    assert (began.source, began.kind, began.silent) == (
        "kraxel",
        SourceKind.PRICES,
        True,
    )
    assert (began.lasted_s, began.failure.why) == (600.0, "no answer yet")
    assert (ended.silent, ended.lasted_s) == (False, 900.0)
    assert watched.changes() == []


def test_a_warning_tells_the_source_its_age_the_newest_reason_and_what_to_do() -> None:
    watched = monitor()
    watched.answered("kraxel", now_s=0.0)
    watched.failed("kraxel", Failure("status 500", Cause.TROUBLED), now_s=300.0)
    watched.failed("kraxel", MISSING, now_s=400.0)
    watched.advance(now_s=720.0)
    assert watched.warnings(now_s=720.0) == [
        "kraxel (prices): no usable answer for 12 min, status 404: correct "
        "STACKS_FEED_KRAXEL_URL, or take it out of STACKS_FEED_PRICE_SOURCES if it is gone"
    ]


def accounts() -> SilenceMonitor:
    made = SilenceMonitor(floor_s=60.0)
    made.expect("kraxel", SourceKind.ACCOUNTS, interval_s=300.0)
    return made


def test_one_subject_that_is_declined_is_no_silence_however_often() -> None:
    watched = accounts()
    for at in range(20):
        watched.asked("kraxel", now_s=60.0 * at)
        watched.refused("kraxel", "ann", DECLINED, now_s=60.0 * at + 1)
    assert not is_silent(watched, 9_999.0)


def test_five_different_subjects_declined_in_a_row_are_one() -> None:
    watched = accounts()
    for at in range(SUBJECTS):
        watched.asked("kraxel", now_s=float(at))
        watched.refused("kraxel", f"user {at}", DECLINED, now_s=float(at))
    assert is_silent(watched, 700.0)
    assert "status 400" in watched.warnings(now_s=700.0)[0]


def test_more_subjects_declined_than_it_takes_change_nothing() -> None:
    watched = accounts()
    for at in range(SUBJECTS + 2):
        watched.asked("kraxel", now_s=float(at))
        watched.refused("kraxel", f"user {at}", DECLINED, now_s=float(at))
    assert is_silent(watched, 700.0)
    watched.answered("kraxel", now_s=701.0)
    assert not is_silent(watched, 702.0)


def test_subjects_declined_before_an_answer_do_not_count() -> None:
    watched = accounts()
    for at in range(2 * SUBJECTS):
        watched.refused("kraxel", f"user {at}", DECLINED, now_s=float(at))
        if at % 4 == 3:
            watched.answered("kraxel", now_s=float(at))
    assert not is_silent(watched, 9_999.0)


def test_a_subject_that_is_declined_does_not_hide_a_failure() -> None:
    watched = accounts()
    watched.asked("kraxel", now_s=0.0)
    watched.failed("kraxel", MISSING, now_s=1.0)
    watched.refused("kraxel", "ann", DECLINED, now_s=2.0)
    assert is_silent(watched, 600.0)


def test_a_silence_is_told_by_its_true_length_after_a_subject_was_declined() -> None:
    watched = accounts()
    watched.asked("kraxel", now_s=100_000.0)
    assert is_silent(watched, 100_600.0)
    watched.refused("kraxel", "ann", DECLINED, now_s=100_650.0)
    assert is_silent(watched, 100_700.0)
    assert "for 12 min" in watched.warnings(now_s=100_700.0)[0]


def test_a_source_that_is_not_ours_any_more_is_silent_no_more_and_nothing_is_told() -> (
    None
):
    watched = monitor()
    watched.asked("kraxel", now_s=0.0)
    assert is_silent(watched, 600.0)
    watched.changes()
    watched.release(["kraxel", "unknown"])
    assert not is_silent(watched, 9_999.0)
    assert watched.changes() == []
    # Whoever asked it meanwhile had answers: the window begins anew.
    watched.asked("kraxel", now_s=10_000.0)
    assert not is_silent(watched, 10_599.0)


def test_a_source_that_nobody_announced_is_not_followed() -> None:
    watched = monitor()
    watched.asked("contract", now_s=0.0)
    watched.failed("contract", MISSING, now_s=0.0)
    watched.refused("contract", "a", DECLINED, now_s=0.0)
    watched.answered("contract", now_s=0.0)
    watched.advance(now_s=9_999.0)
    assert (watched.silent(), watched.changes()) == ([], [])


EVENTS = st.sampled_from(("asked", "answered", "failed", "refused", "advance"))


@given(st.lists(st.tuples(EVENTS, st.floats(0, 200)), max_size=60))
def test_what_is_told_alternates_and_agrees_with_what_is_shown(
    events: list[tuple[str, float]],
) -> None:
    watched, now_s, silent = monitor(interval_s=60.0), 0.0, False
    answered_s = 0.0
    for event, passed_s in events:
        now_s += passed_s
        match event:
            case "asked":
                watched.asked("kraxel", now_s=now_s)
            case "answered":
                watched.answered("kraxel", now_s=now_s)
                answered_s = now_s
            case "failed":
                watched.failed("kraxel", MISSING, now_s=now_s)
            case "refused":
                watched.refused("kraxel", "ann", DECLINED, now_s=now_s)
            case _:
                watched.advance(now_s=now_s)
        for change in watched.changes():
            assert change.silent is not silent
            silent = change.silent
            # Never before two intervals have passed without an answer.
            assert not silent or now_s - answered_s >= 120.0
        assert (watched.silent() == ["kraxel"]) is silent
        assert len(watched.warnings(now_s=now_s)) == silent


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.4, "0 s"),
        (179.0, "179 s"),
        (180.0, "3 min"),
        (10_799.0, "180 min"),
        (12_600.0, "3.5 h"),
        (34_000_000.0, "394 d"),
    ],
)
def test_a_time_span_is_told_as_operators_say_it(seconds: float, said: str) -> None:
    assert duration(seconds) == said


@pytest.mark.parametrize("cause", Cause)
@pytest.mark.parametrize("kind", SourceKind)
@pytest.mark.parametrize("source", ["hiro", "kraxel", "elsewhere"])
def test_there_is_something_to_do_whatever_the_cause(
    source: str, kind: SourceKind, cause: Cause
) -> None:
    assert len(remedy(source, kind, cause)) > 10


def test_the_remedy_names_the_setting() -> None:
    accounts_kind, prices = SourceKind.ACCOUNTS, SourceKind.PRICES
    assert "STACKS_FEED_HIRO_URL" in remedy("hiro", accounts_kind, Cause.MOVED)
    assert "HIRO_API_KEY" in remedy("subnet-call", SourceKind.SUBNETS, Cause.KEY)
    assert "HIRO_PER_MINUTE" in remedy("hiro", accounts_kind, Cause.LIMITED)
    assert "SOURCE_PER_MINUTE" in remedy("internal", prices, Cause.LIMITED)
    assert "STACKS_FEED_INVEST_URL" in remedy("internal", prices, Cause.MISSING)
    assert "PRICE_SOURCES" in remedy("internal", prices, Cause.MISSING)
    assert "PRICE_SOURCES" not in remedy("charisma", SourceKind.TOKENS, Cause.MISSING)


def test_a_source_whose_newest_time_is_over_an_hour_old_repeats_old_values() -> None:
    times = SourceTimes()
    old_ms = NOW_MS - HOUR_MS - 1
    times.said("internal", [old_ms - 5, old_ms, None], observed_ms=NOW_MS)
    assert times.old() == ["internal"]
    assert times.newest_ms("internal") == old_ms
    [line] = times.warnings()
    assert "internal: by its own word its newest price is 60 min old" in line
    assert "STACKS_FEED_PRICE_SOURCES" in line
    times.said("internal", [old_ms, NOW_MS - HOUR_MS], observed_ms=NOW_MS)
    assert (times.old(), times.warnings()) == ([], [])


@pytest.mark.parametrize("time_ms", [None, 0, 1_760_000_000, 1_230_767_999_999])
def test_a_source_without_a_time_that_can_be_one_is_never_old(
    time_ms: int | None,
) -> None:
    times = SourceTimes()
    times.said("internal", [NOW_MS - 9 * HOUR_MS], observed_ms=NOW_MS)
    times.said("internal", [time_ms], observed_ms=NOW_MS)
    assert (times.old(), times.newest_ms("internal")) == ([], None)


def test_a_time_in_the_future_is_that_of_the_answer() -> None:
    times = SourceTimes()
    times.said("internal", [NOW_MS + HOUR_MS], observed_ms=NOW_MS)
    assert times.newest_ms("internal") == NOW_MS
