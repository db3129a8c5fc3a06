"""Trouble that lasts: how often it is logged, and that its end is."""

import logging

import pytest

from runtime.trouble import EVERY_S, Trouble


class Seconds:
    """A clock of seconds, moved by hand."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def trouble(seconds: Seconds, caplog: pytest.LogCaptureFixture) -> Trouble:
    caplog.set_level(logging.INFO)
    logger = logging.getLogger("somewhere")
    return Trouble(logger, "not done", "done again", monotonic_s=seconds)


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[str, dict[str, object]]]:
    """Return the event of each line, and the fields that are asked about."""
    names = ("error", "times", "lasts_s", "lasted_s")
    return [
        (
            record.message,
            {name: vars(record)[name] for name in names if hasattr(record, name)},
        )
        for record in caplog.records
    ]


def test_trouble_is_told_when_it_begins_every_half_minute_and_when_it_ends(
    trouble: Trouble, seconds: Seconds, caplog: pytest.LogCaptureFixture
) -> None:
    for attempt in range(5 * 71):
        trouble.happened(error=f"{attempt}")
        seconds.now += 0.2
    trouble.over()
    assert lines(caplog) == [
        ("not done", {"error": "0"}),
        ("not done", {"error": "150", "times": 151, "lasts_s": EVERY_S}),
        ("not done", {"error": "300", "times": 301, "lasts_s": 2 * EVERY_S}),
        ("done again", {"times": 355, "lasted_s": 71.0}),
    ]
    levels = [record.levelno for record in caplog.records]
    assert levels == [*[logging.WARNING] * 3, logging.INFO]


def test_as_long_as_all_is_well_nothing_is_told(
    trouble: Trouble, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        trouble.over()
    assert lines(caplog) == []


def test_trouble_that_comes_and_goes_is_told_no_more_often_than_one_that_lasts(
    trouble: Trouble, seconds: Seconds, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(100):
        trouble.happened()
        seconds.now += 0.25
        trouble.over()
        seconds.now += 0.25
    assert lines(caplog) == [
        ("not done", {}),
        ("done again", {"times": 1, "lasted_s": 0.2}),
        ("not done", {"times": 60, "lasts_s": 0.0}),
        ("done again", {"times": 60, "lasted_s": 0.2}),
    ]


def test_the_next_trouble_after_a_while_begins_anew(
    trouble: Trouble, seconds: Seconds, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        trouble.happened()
        trouble.over()
        seconds.now += EVERY_S
    assert lines(caplog) == 2 * [
        ("not done", {}),
        ("done again", {"times": 1, "lasted_s": 0.0}),
    ]
