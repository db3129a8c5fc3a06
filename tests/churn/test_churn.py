"""A small run finds nothing, and what is wrong with a spoilt edge is found."""

from pathlib import Path

import pytest

from tests.churn.run import Plan, run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


async def test_clients_that_come_and_go_see_what_is_true_and_miss_nothing(
    tmp_path: Path,
) -> None:
    report = await run(tmp_path, Plan(clients=25, rounds=60))
    assert report.flaws == []
    assert report.rounds == 60
    assert report.done.keys() == {"subscribe", "unsubscribe", "stall", "leave", "wait"}


@pytest.mark.parametrize(
    ("mutant", "found"),
    [
        ("dropped-frame", "at "),
        ("late", "after it was"),
        ("deaf-to-unsubscribe", "was not asked for"),
        ("resumes-from-now", "at "),
        ("forgets-changes", "at "),
        ("repeats", "is "),
    ],
)
async def test_a_spoilt_edge_is_found_out(
    tmp_path: Path, mutant: str, found: str
) -> None:
    plan = Plan(clients=20, rounds=50, mutant=mutant, limit_s=1.0)
    report = await run(tmp_path, plan)
    assert any(found in flaw for flaw in report.flaws), report.flaws
