"""A short run over real sockets, and one in which ingest does end."""

from pathlib import Path

import pytest

from tests.hostile.run import run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


async def test_ingest_outlives_upstreams_that_answer_what_they_like(
    tmp_path: Path,
) -> None:
    said: list[str] = []
    report = await run(tmp_path, 1, seconds=8.0, say=said.append)
    assert not [flaw for flaw in report.flaws if "ended" in flaw or "traceback" in flaw]
    assert min(report.samples, report.rounds, report.requests) > 0


async def test_a_run_in_which_ingest_ends_is_no_good_run(tmp_path: Path) -> None:
    said: list[str] = []
    report = await run(
        tmp_path, 1, seconds=60.0, say=said.append, crash_at="reply-read:2"
    )
    assert not report.is_ok
    assert "ingest ended" in said[-1]
