"""`topics apply` and `topics show`: words, JSON, exit codes."""

import json

import pytest

from app.cli import main


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out


def test_applying_says_what_was_created_and_then_that_nothing_was(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["topics", "apply"]) == 0
    assert "created: prices.raw" in said(capsys)
    assert main(["topics", "apply"]) == 0
    assert "nothing to create" in said(capsys)


def test_showing_a_log_that_is_not_there_says_how_to_make_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["topics", "show"]) == 1
    assert "topics apply" in capsys.readouterr().err


def test_what_is_there_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    main(["topics", "apply"])
    said(capsys)
    assert main(["topics", "show"]) == 0
    assert "latest         2 partitions, 1 offsets used" in said(capsys)
    assert main(["topics", "show", "--json"]) == 0
    shown = json.loads(said(capsys))
    assert (shown["missing"], shown["drift"]) == ([], [])


def test_drift_is_shown_with_what_to_do_and_fails(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    main(["topics", "apply"])
    monkeypatch.setenv("STACKS_FEED_AUDIT_DAYS", "9")
    said(capsys)
    for action in ("apply", "show"):
        assert main(["topics", action]) == 1
        out = said(capsys)
        assert "differs: prices.raw: retention.ms is" in out
        assert "never altered" in out
    assert main(["topics", "apply", "--json"]) == 1
    assert json.loads(said(capsys))["drift"][0]["setting"] == "retention.ms"


def test_an_empty_log_is_shown_as_such(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    main(["topics", "apply"])
    said(capsys)
    assert main(["topics", "show", "--log", "/dev/null"]) == 1
    assert main(["topics", "apply", "--live"]) == 1
    assert "--live" in capsys.readouterr().err
