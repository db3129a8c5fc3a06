"""A process dies at the step it was told, at the pass it was told, and by SIGKILL."""

import subprocess
import sys
from signal import SIGKILL
from threading import Thread

import pytest

from runtime.crash import STEPS, crash_at, no_step
from tests.support.shared_data import ROOT

_DIES = (
    "from runtime.crash import crash_at; crash_at('folded')('folded'); print('alive')"
)


def deaths(spec: str, *steps: str) -> list[int]:
    """Return how many steps had been passed at each death."""
    died: list[int] = []
    passed = 0
    on_step = crash_at(spec, kill=lambda: died.append(passed))
    for step in steps:
        passed += 1
        on_step(step)
    return died


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        pytest.param("folded", [2], id="the first pass"),
        pytest.param("folded:1", [2], id="the first, said"),
        pytest.param("folded:3", [5], id="the third"),
        pytest.param("folded:4", [], id="one that never comes"),
        pytest.param("state-read", [], id="a step that is not passed"),
    ],
)
def test_it_dies_once_at_the_pass_it_was_told(spec: str, expected: list[int]) -> None:
    steps = ("inputs-taken", "folded", "folded", "commit-returned", "folded")
    assert deaths(spec, *steps) == expected


def test_without_a_step_it_lives() -> None:
    assert crash_at("") is no_step
    for step in STEPS:
        no_step(step)


@pytest.mark.parametrize(
    "spec",
    ["flded", "folded:", "folded:0", "folded:-1", "folded:x", "folded:1:1", "FOLDED"],
)
def test_what_names_no_step_is_refused_with_those_there_are(spec: str) -> None:
    with pytest.raises(
        ValueError, match=r"steps are topics-written, .*, table-updated"
    ):
        crash_at(spec)


def test_passes_in_several_threads_are_counted_together() -> None:
    died: list[int] = []
    on_step = crash_at("folded:400", kill=lambda: died.append(1))

    def fold() -> None:
        for _ in range(100):
            on_step("folded")

    threads = [Thread(target=fold) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert died == [1]


def test_it_is_killed_and_says_where() -> None:
    ended = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", _DIES], cwd=ROOT, capture_output=True, check=False
    )
    assert ended.returncode == -SIGKILL
    assert (ended.stdout, ended.stderr) == (b"", b"killed at a step\n")
