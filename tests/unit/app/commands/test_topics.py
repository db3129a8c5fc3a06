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


def test_a_difference_with_which_services_run_is_a_warning_of_apply(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    main(["topics", "apply"])
    monkeypatch.setenv("STACKS_FEED_AUDIT_DAYS", "9")
    said(capsys)
    for action, code in (("apply", 0), ("show", 1)):
        assert main(["topics", action]) == code
        out = said(capsys)
        assert "differs: prices.raw: retention.ms is" in out
        assert "never altered" in out
    main(["topics", "apply"])
    assert "Services run all the same" in said(capsys)
    assert main(["topics", "apply", "--json"]) == 0
    assert json.loads(said(capsys))["drift"][0]["setting"] == "retention.ms"


def test_a_difference_with_which_no_service_runs_fails(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    main(["topics", "apply"])
    monkeypatch.setattr("app.topics._HARMFUL", {"retention.ms"})
    monkeypatch.setenv("STACKS_FEED_AUDIT_DAYS", "9")
    said(capsys)
    assert main(["topics", "apply"]) == 1
    assert "No service runs" in said(capsys)


def test_an_empty_log_is_shown_as_such(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    main(["topics", "apply"])
    said(capsys)
    assert main(["topics", "show", "--log", "/dev/null"]) == 1
    assert main(["topics", "apply", "--live"]) == 1
    assert "--live" in capsys.readouterr().err
