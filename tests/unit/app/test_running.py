"""Systems of `up` leave notes beside their log, and one log holds one simulated world."""

import fcntl
from pathlib import Path

import pytest

from app.errors import OperatorError
from app.running import RunningSystem, noted, running_systems

SIMULATED = RunningSystem(11, "127.0.0.1:1999", "http://127.0.0.1:5000", {"edge": "e"})
ANOTHER = RunningSystem(12, "127.0.0.1:2000", "http://127.0.0.1:5001", {})
LIVE = RunningSystem(13, "127.0.0.1:2001", None, {})


def test_a_system_is_found_while_it_runs(tmp_path: Path) -> None:
    log = tmp_path / "log[1].sqlite"
    assert running_systems(log) == []
    with noted(log, SIMULATED):
        assert running_systems(log) == [SIMULATED]
        assert running_systems(tmp_path / "another.sqlite") == []
    assert running_systems(log) == []


def test_where_there_is_no_folder_nothing_runs(tmp_path: Path) -> None:
    assert running_systems(tmp_path / "nowhere" / "log.sqlite") == []


def test_a_second_simulated_world_is_refused(tmp_path: Path) -> None:
    log = tmp_path / "log.sqlite"
    with (
        noted(log, SIMULATED),
        pytest.raises(OperatorError, match=r"process 11, edge at 127\.0\.0\.1:1999"),
        noted(log, ANOTHER),
    ):
        pytest.fail("two worlds in one log")
    with noted(log, ANOTHER):
        assert running_systems(log) == [ANOTHER]


def test_systems_that_read_the_real_upstreams_may_share_a_log(tmp_path: Path) -> None:
    log = tmp_path / "log.sqlite"
    with noted(log, LIVE), noted(log, SIMULATED):
        assert running_systems(log) == [SIMULATED, LIVE]


def test_a_note_that_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    log = tmp_path / "log.sqlite"
    stale = tmp_path / "log.sqlite.up-99"
    stale.write_text('{"pid":99}')
    assert running_systems(log) == []
    assert not stale.exists()


@pytest.mark.parametrize("text", ["", "{", '{"pid":1}', "[]"])
def test_a_note_that_cannot_be_read_is_passed_over(tmp_path: Path, text: str) -> None:
    path = tmp_path / "log.sqlite.up-99"
    path.write_text(text)
    with path.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert running_systems(tmp_path / "log.sqlite") == []
