"""`doctor`: lines for people, JSON for programs, an exit code for both."""

import json

import pytest

from app.checks import Finding, Health
from app.cli import main
from app.commands.doctor import text_of


def test_advice_stands_below_what_was_found() -> None:
    text = text_of(Finding("log", Health.WRONG, "gone", "look for it")).plain
    assert text.splitlines() == ["wrong log        gone", "      → look for it"]
    assert "→" not in text_of(Finding("log", Health.WELL, "fine")).plain


def test_something_wrong_is_exit_1_and_all_well_is_0(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STACKS_FEED_SIMULATOR_PORT", "1")
    assert main(["doctor"]) == 1
    assert "there is no log" in capsys.readouterr().out
    main(["topics", "apply"])
    capsys.readouterr()
    assert main(["doctor", "--json"]) == 0
    found = {each["check"]: each for each in json.loads(capsys.readouterr().out)}
    assert found["log"]["health"] == "ok"
