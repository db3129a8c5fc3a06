"""Who keeps the file locked is named, where the system tells."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from eventlog.port import LogUnavailable
from eventlog.sqlite import SqliteConfig, holder
from eventlog.sqlite.holder import holder_of
from eventlog.sqlite.session import Session
from tests.support.logs import now_ms

_HOLD = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
for statement in sys.argv[2:]:
    db.execute(statement)
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def held(path: Path, *statements: str) -> Iterator[int]:
    """Let another process do something to the file and then stay; yield its id."""
    command = [sys.executable, "-c", _HOLD, str(path), *statements]
    with subprocess.Popen(  # noqa: S603 - our own interpreter
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process.pid
        process.communicate()


@pytest.fixture
def config(tmp_path: Path) -> SqliteConfig:
    config = SqliteConfig(tmp_path / "log", now_ms=now_ms, busy_s=0.02)
    Session(config).close()
    return config


EXCLUSIVE = ("PRAGMA locking_mode = EXCLUSIVE", "BEGIN EXCLUSIVE")


def test_who_writes_for_long_is_named_and_what_to_do(config: SqliteConfig) -> None:
    with (
        closing(Session(config)) as session,
        held(config.path, "BEGIN EXCLUSIVE") as pid,
    ):
        with pytest.raises(LogUnavailable) as caught, session.writing():
            pytest.fail("wrote")
        with session.reading() as db:
            db.execute("SELECT 1 FROM topics")
    assert f"another process, {pid} (python" in str(caught.value)
    assert f"has kept {config.path} locked for 0.02 s; stop it" in str(caught.value)


def test_who_keeps_everybody_out_is_named_when_opening(config: SqliteConfig) -> None:
    with (
        held(config.path, *EXCLUSIVE) as pid,
        pytest.raises(LogUnavailable, match=rf"process, {pid} .* locked"),
    ):
        Session(config)


def test_nobody_is_named_where_the_system_does_not_tell(
    config: SqliteConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holder, "_LOCKS", tmp_path / "nowhere")
    with (
        closing(Session(config)) as session,
        held(config.path, "BEGIN EXCLUSIVE"),
        pytest.raises(LogUnavailable, match="another process has kept"),
        session.writing(),
    ):
        pytest.fail("wrote")


def test_who_has_ended_or_is_elsewhere_has_no_name(
    config: SqliteConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holder, "_PROCESSES", tmp_path / "nowhere")
    with closing(Session(config)), held(config.path, "BEGIN EXCLUSIVE") as pid:
        assert holder_of(config.path) == f"another process, {pid} (?),"


def test_neither_ourselves_nor_who_holds_nothing_is_named(config: SqliteConfig) -> None:
    assert holder_of(config.path) is None
    assert holder_of(config.path.with_name("nowhere")) is None
    with closing(sqlite3.connect(config.path, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        assert holder_of(config.path) is None
