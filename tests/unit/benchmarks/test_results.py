"""What a figure says of itself, in the table and as JSON."""

import json
from typing import Literal

import pytest

from benchmarks.results import Result, Skipped, as_json, show


@pytest.mark.parametrize(
    ("bound", "ratio", "met"),
    [
        pytest.param("at most", 1.5, True, id="at the bound"),
        pytest.param("at most", 1.6, False, id="above the most"),
        pytest.param("at least", 1.6, True, id="above the least"),
        pytest.param("at least", 1.4, False, id="below the least"),
    ],
)
def test_a_goal_bounds_the_ratio(
    bound: Literal["at least", "at most"], ratio: float, met: bool
) -> None:
    result = Result("x", 99.0, "us", goal=1.5, bound=bound, peer="y", ratio=ratio)
    assert result.met is met


def test_a_goal_may_bound_the_value_itself() -> None:
    result = Result("x", 4.0, "ms", goal=5.0, of="value", peer="a limit", ratio=0.8)
    assert result.met is True


def test_without_a_goal_nothing_is_met_or_missed() -> None:
    assert Result("x", 1.0, "us").met is None


def test_json_says_the_same_with_machine_commit_and_date() -> None:
    results = [Result("x", 2.0, "us", goal=1.5, peer="y", ratio=2.0)]
    said = json.loads(as_json([*results, Skipped("z", "no peer")], date="2026-01-02"))
    assert set(said) == {"machine", "commit", "date", "results"}
    figure, skipped = said["results"]
    assert (figure["name"], figure["ratio"], figure["met"]) == ("x", 2.0, False)
    assert skipped == {"name": "z", "why": "no peer"}


def test_the_table_names_what_was_missed_and_what_was_skipped(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show([Result("x", 2.0, "us", goal=1.5, peer="y", ratio=2.0), Skipped("z", "why")])
    printed = capsys.readouterr().out
    assert "ratio at most 1.5" in printed
    assert "NO" in printed
    assert "skipped: why" in printed
