"""Systems of `up` leave notes beside their log, and one log holds one simulated world."""

import fcntl
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
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


def test_nothing_is_left_of_a_system_that_has_ended(tmp_path: Path) -> None:
    log = tmp_path / "log.sqlite"
    with noted(log, SIMULATED):
        assert [path.name for path in tmp_path.iterdir()] == ["log.sqlite.up-11"]
        with pytest.raises(OperatorError), noted(log, ANOTHER):
            pytest.fail("two worlds in one log")
        assert [path.name for path in tmp_path.iterdir()] == ["log.sqlite.up-11"]
    assert list(tmp_path.iterdir()) == []


def test_of_many_that_start_at_once_one_runs(tmp_path: Path) -> None:
    log = tmp_path / "log.sqlite"
    runs = threading.Lock()

    def start(pid: int) -> int:
        """Try to start a simulated system, often; return how often one ran."""
        started = 0
        for _ in range(100):
            try:
                with noted(log, replace(SIMULATED, pid=pid)):
                    assert runs.acquire(blocking=False), "two worlds in one log"
                    started += 1
                    runs.release()
            except OperatorError:
                pass
        return started

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(start, range(8))) > 0
    assert list(tmp_path.iterdir()) == []


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
