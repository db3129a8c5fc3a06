"""`audit as-of`: the table at a moment, for eyes and for programs."""

import json
from pathlib import Path

import pytest

from app.cli import main
from tests.support.folded import a_folded_file

LOG = "log.sqlite"


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch, clean: Path) -> Path:
    monkeypatch.setenv("STACKS_FEED_LOG", LOG)
    return a_folded_file(Path(LOG))


def asked(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    assert main(["audit", "as-of", *arguments]) == 0
    return capsys.readouterr().out.splitlines()


def test_a_cut_gives_what_the_time_gave(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    by_time = asked(capsys, "2100-01-01", "--json")
    cut = json.loads(by_time[0])["cut"]
    assert asked(capsys, cut, "--json") == by_time
    rows = [json.loads(line) for line in by_time[1:]]
    assert {row["key"].split(":")[0] for row in rows} == {"token", "price", "balance"}
    assert all(row["commit"] > 0 and row["value"]["version"] > 0 for row in rows)


def test_before_the_first_commit_there_is_nothing(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (cut,) = asked(capsys, "2001-01-01")
    assert cut.startswith("cut:")
    assert cut.endswith(":0,0,0")


def test_keys_are_chosen_as_in_tail_and_shown_as_there(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cut, *rows = asked(capsys, "2100-01-01", "price")
    assert len(rows) == 2
    assert all(" USD" in row for row in rows)
    assert cut.startswith("cut:")


@pytest.mark.parametrize(
    ("moment", "code"), [("noon", 2), ("cut:00000000:1,1,1", 2), ("cut:0:1", 2)]
)
def test_what_is_no_moment_of_this_log_is_refused(
    log: Path, capsys: pytest.CaptureFixture[str], moment: str, code: int
) -> None:
    assert main(["audit", "as-of", moment]) == code
    assert capsys.readouterr().err.startswith("stacks-feed audit: ")
