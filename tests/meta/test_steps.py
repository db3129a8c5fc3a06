"""The steps at which a process can be killed are those that the code passes."""

import ast
from collections.abc import Iterator
from pathlib import Path

from runtime.crash import STEPS
from tests.support.shared_data import ROOT

_PACKAGES = ("app", "edge", "eventlog", "ingest", "processor")
_ON_BOTH_LOGS = ("topics-written", "append-written", "commit-written", "commit-made")


def passed(*folders: str) -> list[object]:
    """Return what ``on_step`` is told anywhere in these folders."""
    paths = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    return [step for path in paths for step in _told(path)]


def _told(path: Path) -> Iterator[object]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and _name(node.func).endswith("on_step"):
            yield node.args[0].value if isinstance(node.args[0], ast.Constant) else None


def _name(called: ast.expr) -> str:
    match called:
        case ast.Name(name):
            return name
        case ast.Attribute(_, name):
            return name
        case _:
            return ""


def test_every_step_that_is_passed_can_be_named_and_every_name_is_passed() -> None:
    assert set(passed(*_PACKAGES)) == set(STEPS)


def test_both_logs_pass_the_steps_that_do_not_depend_on_how_they_forget() -> None:
    assert {*passed("eventlog/kafka")} == {*_ON_BOTH_LOGS}
    assert {*passed("eventlog/sqlite")} >= {*_ON_BOTH_LOGS}
