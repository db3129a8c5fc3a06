"""A small run finds nothing, and what is wrong with a spoilt edge is found."""

from pathlib import Path

import pytest

from tests.fuzz.play import case
from tests.fuzz.run import SLACK, Plan, leaks, run
from tests.support.edge_process import Counted

pytestmark = pytest.mark.timeout(120)


@pytest.mark.slow
async def test_whatever_clients_send_the_edge_answers_and_others_never_notice(
    tmp_path: Path,
) -> None:
    report = await run(tmp_path, Plan(seed=1, count=2_000))
    assert report.flaws == []
    assert report.units >= 2_000
    assert report.rounds


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mutant", "found"),
    [
        ("dropped-frame", "bystander: "),
        ("reordered", "bystander: "),
        ("swallowed-error", "Invalid message format"),
        ("leak", "leak: "),
        ("dies", "the edge "),
    ],
)
async def test_a_spoilt_edge_is_found_out(
    tmp_path: Path, mutant: str, found: str
) -> None:
    report = await run(tmp_path, Plan(count=400, mutant=mutant, limit_s=3.0))
    assert any(found in flaw for flaw in report.flaws), report.flaws


def test_a_case_is_always_the_same() -> None:
    assert [case(7, number) for number in range(50)] == [
        case(7, number) for number in range(50)
    ]
    assert len({case(7, number).stream for number in range(50)}) > 40


def test_what_is_held_may_grow_by_the_slack_and_no_more() -> None:
    before = Counted(tasks=10, parts=10, objects=10, files=10, memory_kib=10)
    more = Counted(
        tasks=10 + SLACK.tasks,
        parts=10 + SLACK.parts,
        objects=10 + SLACK.objects,
        files=10 + SLACK.files + 1,
        memory_kib=10,
    )
    assert leaks(before, more) == [f"leak: {more.files} files, before it was 10"]
