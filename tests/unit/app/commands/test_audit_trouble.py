"""Whatever is asked wrongly, or is in the way of an audit: one line, and the right code."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from app.cli import main
from tests.support.folded import a_folded_file
from tests.support.folding import ALPHA

LOG = Path("log.sqlite")
KEY = f"price:{ALPHA}"
Say = Callable[..., str]


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch, clean: Path) -> Path:
    monkeypatch.setenv("STACKS_FEED_LOG", f"{LOG}")
    return a_folded_file(LOG)


@pytest.fixture
def line(capsys: pytest.CaptureFixture[str]) -> Say:
    """Run an audit that ends with a code; return the one line that says why."""

    def ask(*arguments: str, code: int) -> str:
        assert main(["audit", *arguments]) == code
        (said,) = capsys.readouterr().err.splitlines()
        assert said.startswith("stacks-feed audit: ")
        return said

    return ask


MOMENTS = (
    "noon",
    "",
    "999999999999999",
    "9999-12-31T23:59:59-12:00",
    "2026-11-24T14:03:00+99:00",
    "cut:01234567:1",
    "cut:ffffffff:1,2,3",
    "cut:01234567:999999999999999,1,1",
)


@pytest.mark.parametrize("moment", MOMENTS)
def test_what_is_no_moment_of_the_log_is_a_wrong_request(
    log: Path, line: Say, moment: str
) -> None:
    line("as-of", moment, code=2)
    if moment:
        line("verify", "--jobs", "1", "--to", moment, code=2)
        line("explain", KEY, "--at", moment, code=2)
    line("export", moment, moment, "--out", "out", "--format", "csv", code=2)


@pytest.mark.parametrize(
    ("key", "code"),
    [
        ("price:", 2),
        ("price:x", 1),
        ("balance:::", 2),
        ("", 1),
        ("reject:x:0:1", 2),
        ("price:\udcff", 1),
    ],
)
def test_what_names_nothing_is_said_in_a_line(
    log: Path, line: Say, key: str, code: int
) -> None:
    assert "names nothing" in line("explain", key, code=code)


@pytest.mark.parametrize("at", ["noon", "2999-01-01", "cut:01234567:1", "-5"])
def test_where_an_audit_may_begin_is_a_time_that_has_passed(
    log: Path, line: Say, at: str
) -> None:
    assert "--from" in line("watch", f"--from={at}", code=2)


@pytest.mark.parametrize("heads", [".", "log.sqlite", "gone"])
def test_a_file_of_heads_that_cannot_be_read_is_a_wrong_request(
    log: Path, line: Say, heads: str
) -> None:
    line("verify", "--jobs", "1", "--against", heads, code=2)


def test_a_folder_that_cannot_be_written_is_in_the_way(log: Path, line: Say) -> None:
    Path("file").touch()
    span = ("2020-01-01", "2030-01-01")
    for out in ("file", "file/below"):
        line("export", *span, "--out", out, "--format", "csv", code=3)


def test_a_file_that_is_no_log_is_in_the_way(line: Say, clean: Path) -> None:
    Path("junk").write_bytes(b"junk" * 500)
    for command in ("verify", "head", "index"):
        assert "cannot be used" in line(command, "--log", "junk", code=3)
        assert "there is no log at" in line(command, "--log", "nowhere", code=3)


def edited(path: Path, topic: str, change: str) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(
            f"UPDATE records SET {change} WHERE id >> 40 IN (SELECT p.id"  # noqa: S608 - the test's own words
            " FROM partitions p JOIN topics t ON p.topic = t.id WHERE t.name = ?)",
            (topic,),
        )


@pytest.mark.parametrize("topic", ["changes", "journal", "rejects", "state"])
@pytest.mark.parametrize("change", ["value = '{}'", "value = NULL", "key = 7"])
def test_records_that_were_edited_by_hand_are_a_difference(
    log: Path, topic: str, change: str, capsys: pytest.CaptureFixture[str]
) -> None:
    edited(log, topic, change)
    assert main(["audit", "verify", "--jobs", "1"]) == 1
    capsys.readouterr()
    for command in (["head"], ["explain", KEY], ["as-of", "2030-01-01"]):
        assert main(["audit", *command]) in {0, 1, 3}
        assert len(capsys.readouterr().err.splitlines()) <= 1


def test_headers_that_cannot_be_read_are_in_the_way(log: Path, line: Say) -> None:
    edited(log, "changes", "headers = x'00'")
    said = line("verify", "--jobs", "1", code=3)
    assert "the headers of a record cannot be read" in said
    edited(log, "changes", "headers = 'text'")
    line("as-of", "2030-01-01", code=3)


@pytest.mark.parametrize("value", ["-5", "time + 0.5", "'abc'"])
@pytest.mark.parametrize("topic", ["prices.raw", "changes", "journal", "latest"])
def test_append_times_that_are_no_numbers_are_in_the_way(
    log: Path, line: Say, topic: str, value: str
) -> None:
    edited(log, topic, f"time = {value}")
    said = line("verify", "--jobs", "1", code=3)
    assert "the append time of a record cannot be read" in said


def test_times_that_no_calendar_has_can_be_explained(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edited(log, "prices.raw", "time = 9007199254740991")
    assert main(["audit", "explain", KEY, "--no-index"]) in {0, 1}
    capsys.readouterr()
