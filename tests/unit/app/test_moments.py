"""Moments as people write them."""

import pytest

from app.moments import is_ago, moment, resolved
from audit.core.cuts import parse_moment
from runtime.clock import SystemClock

# 2026-11-24T14:03:10.500Z
NOW = 1_795_528_990_500


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("now", NOW),
        ("-30s", NOW - 30_000),
        ("-5m", NOW - 300_000),
        ("now-2h", NOW - 7_200_000),
        ("-1d", NOW - 86_400_000),
        ("-999999d", 0),
        ("16:15", 1_795_536_900_000),
        ("9:05", 1_795_511_100_000),
        ("00:00:01", 1_795_478_401_000),
        ("2026-11-24T14:03:00Z", 1_795_528_980_000),
        ("1795528980000", 1_795_528_980_000),
    ],
)
def test_a_moment_is_a_time_in_milliseconds(text: str, found: int) -> None:
    assert parse_moment(resolved(text, NOW)) == found


@pytest.mark.parametrize(
    "text", ["noon", "24:00", "12:60", "-5", "-5w", "cut:01234567:1,2", "17"]
)
def test_any_other_text_stays_as_it_is(text: str) -> None:
    assert resolved(text, NOW) == text


def test_of_a_command_line_now_is_when_it_is_read() -> None:
    before = SystemClock().now_ms()
    assert before <= int(moment("now")) <= SystemClock().now_ms()


def test_a_while_ago_is_told_from_an_option() -> None:
    assert is_ago("-5m")
    assert not any(map(is_ago, ["now-5m", "-h", "--port", "-5", "5m"]))
