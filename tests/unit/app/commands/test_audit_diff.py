"""`audit diff`: for eyes, for programs, and as a gate."""

import json
from pathlib import Path

import pytest

from app.cli import main
from tests.support.folded import a_folded_file


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch, clean: Path) -> Path:
    monkeypatch.setenv("STACKS_FEED_LOG", "log.sqlite")
    return a_folded_file(Path("log.sqlite"))


def asked(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    jobs = () if "--jobs" in arguments else ("--jobs", "1")
    assert main(["audit", "diff", *arguments, *jobs]) == code
    said = capsys.readouterr()
    return said.err if code not in {0, 1} else said.out


def test_other_settings_are_summed_up_and_shown(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = asked(capsys, "--set", "priceDeviation=0.1")
    assert "price: " in said
    assert "missing in commit" in said
    assert "keys that differ: " in said


def test_the_same_settings_change_nothing(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = asked(capsys, "--generation", "2", "--fail")
    assert said.endswith("nothing would be published otherwise\n")


def test_it_can_be_a_gate(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked(capsys, "--set", "priceDeviation=0.1", "--fail", code=1)
    asked(
        capsys,
        *("--set", "priceDeviation=0.1", "--fail", "--shard", "1", "--to", "1"),
        *("--from", "2100-01-01"),
    )


def test_a_program_gets_all_of_it(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Fewer fresh words: other medians of the same moments.
    said = json.loads(asked(capsys, "--set", "priceMaxAgeMs=0", "--json"))
    assert said["different"]
    assert said["counts"]["price"]["different"] > 0
    assert float(said["largest"]["price"]["share"]) > 0
    assert said["examples"][0]["key"] in said["keys"]


def test_in_words_there_is_the_largest_difference(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = asked(capsys, "--set", "priceMaxAgeMs=0")
    assert "largest difference" in said
    assert " instead of " in said


def test_what_would_be_added_is_shown(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # The first generation published means, which no source gave.
    said = asked(capsys, "--generation", "1")
    assert "added in commit" in said


def test_processes_say_the_same_as_one(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    otherwise = ("--set", "priceMaxAgeMs=0", "--json")
    alone = asked(capsys, *otherwise, "--jobs", "1")
    assert json.loads(alone)["different"]
    assert asked(capsys, *otherwise, "--jobs", "2") == alone


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_fold_that_is_not_known_is_no_answer(
    log: Path, capsys: pytest.CaptureFixture[str], jobs: str
) -> None:
    said = asked(capsys, "--generation", "9", "--jobs", jobs, code=3)
    assert "generation 9 of the fold" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ([], "name what is to be otherwise"),
        (["--set", "x=1"], "is no NAME=VALUE"),
        (["--set", "priceJumpFactor=1"], "priceJumpFactor cannot be that"),
        (
            ["--set", "priceJumpFactor=5", "--generation", "1", "--jobs", "2"],
            "generation 1 of the fold has no setting priceJumpFactor",
        ),
        (["--set", "priceDeviation=0.1", "--shard", "9"], "has the shards 0 to 2"),
        (["--set", "priceDeviation=0.1", "--from", "noon"], "is no moment"),
    ],
)
def test_a_wrong_request_is_refused(
    log: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], why: str
) -> None:
    assert why in asked(capsys, *arguments, code=2)
