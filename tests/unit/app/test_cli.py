"""The command line: what it loads, and how it fails."""

import argparse
import io
import os
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from app import build, cli
from app.commands.service import overrides
from app.errors import OperatorError, SettingsError
from eventlog.port import LogUnavailable
from tests.support.processes import environment

Fails = Callable[[BaseException], None]


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Fails:
    """Make ``stacks-feed settings`` raise."""

    def fails(error: BaseException) -> None:
        def run(_: argparse.Namespace) -> int:
            raise error

        module = ModuleType("app.commands.settings")
        module.__dict__["run"] = run
        monkeypatch.setitem(sys.modules, module.__name__, module)

    return fails


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OperatorError("do this"), 1),
        (SettingsError("do this"), 2),
        (LogUnavailable("x", why="do this"), 1),
        (ExceptionGroup("both", [OperatorError("do this"), SettingsError("that")]), 2),
    ],
    ids=["operator", "settings", "log", "group"],
)
def test_trouble_is_a_line_on_stderr_and_an_exit_code(
    failing: Fails, capsys: pytest.CaptureFixture[str], error: Exception, code: int
) -> None:
    failing(error)
    assert cli.main(["settings"]) == code
    said = capsys.readouterr().err
    assert "stacks-feed settings: " in said
    assert "do this" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_what_the_terminal_cannot_show_is_written_as_escapes(
    monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    module = ModuleType("app.commands.settings")
    written = io.BytesIO()

    def run(_: argparse.Namespace) -> int:
        # A name of a file that is no text, and a symbol that is no ASCII.
        sys.stdout.write("b\udcff.csv \u20bf\n")
        sys.stdout.flush()
        return 0

    module.__dict__["run"] = run
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding=encoding))
    assert cli.main(["settings"]) == 0
    shown = {"ascii": b"\\u20bf", "utf-8": "\u20bf".encode()}[encoding]
    assert written.getvalue() == rb"b\udcff.csv " + shown + b"\n"


def test_a_bug_shows_its_traceback(failing: Fails) -> None:
    failing(KeyError("bug"))
    with pytest.raises(KeyError):
        cli.main(["settings"])


def test_ctrl_c_is_no_traceback(failing: Fails) -> None:
    failing(KeyboardInterrupt())
    assert cli.main(["settings"]) == 130


def test_every_command_has_a_module_with_run_and_a_help() -> None:
    parser = cli.make_parser()
    text = parser.format_help()
    for command in cli.COMMANDS:
        assert command.name in text
        assert callable(import_module(command.module).run)
    assert "docs/settings.md" in text


@pytest.mark.parametrize("argv", [[], ["fly"], ["topics"], ["backfill"]])
def test_a_wrong_request_is_2_and_says_what_there_is(
    argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(argv)
    assert ended.value.code == 2
    assert "usage: stacks-feed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "meant"),
    [
        (["tial"], "tail"),
        (["audit", "explan"], "explain"),
        (["topics", "aply"], "apply"),
        (["audit", "export", "1", "2", "--format", "parqet"], "parquet"),
        (["as-of", "now"], "audit as-of"),
        (["apply"], "topics apply"),
    ],
    ids=range(6),
)
def test_a_misspelt_word_is_answered_with_the_nearest_one(
    argv: list[str], meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(argv)
    assert ended.value.code == 2
    assert f"; did you mean {meant}?" in capsys.readouterr().err


@pytest.mark.parametrize("commit", ["0123456789abcdef", build.UNKNOWN])
def test_the_version_is_told_with_the_commit_if_it_is_known(
    commit: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "commit", lambda: commit)
    with pytest.raises(SystemExit) as ended:
        cli.main(["--version"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert said.startswith(f"stacks-feed {build.version()}")
    assert (f" (commit {commit})" in said) is (commit != build.UNKNOWN)


def test_the_edge_has_a_port_on_its_command_line() -> None:
    arguments = cli.make_parser().parse_args(["edge", "--port", "2000"])
    assert overrides(arguments) == {"port": 2000}


def test_without_a_command_all_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main([])
    said = capsys.readouterr().err
    assert all(f"    {command.name}" in said for command in cli.COMMANDS)


@pytest.mark.parametrize("command", ["settings", "doctor"])
def test_a_reader_that_has_read_enough_is_no_error(
    tmp_path: Path, command: str
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    ended = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-m", "app", command],
        cwd=tmp_path,
        env=environment({}),
        stdout=writing,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (141, b"")


def test_the_command_line_loads_no_service_and_no_driver(tmp_path: Path) -> None:
    heavy = "aiohttp aiokafka httpx rich eventlog.sqlite prometheus_client edge ingest processor"
    code = (
        "import sys, app.cli; app.cli.make_parser(); "
        f"print([m for m in '{heavy}'.split() if m in sys.modules])"
    )
    ended = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment({}),
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout.strip() == "[]"
