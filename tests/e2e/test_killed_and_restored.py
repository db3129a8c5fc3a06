"""The whole system is killed with -9 and goes on from a copy; every client has the table."""

from pathlib import Path

import pytest

from tests.restored.run import Plan, run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


async def test_all_kinds_of_clients_end_with_the_table_of_a_restored_copy(
    tmp_path: Path,
) -> None:
    report = await run(tmp_path, Plan(before_s=2, lost_s=4, after_s=2))
    assert report.flaws == []
    # Each kind of client of each party: there all the time, back late, away since before.
    assert report.clients == 3 * 6 * 2
    assert report.lost > 0
    assert report.gone >= 2
    # The late ones came back when their cursors pointed into the restored log.
    assert report.outgrown
    assert report.answers["late other-timeline"] > 0
    assert report.answers["early recovered"] > 0
