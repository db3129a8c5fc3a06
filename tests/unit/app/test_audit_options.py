"""The audit's part of the command line."""

import pytest

from app.cli import make_parser


def test_each_action_has_a_module_of_its_own() -> None:
    parse = make_parser().parse_args
    verify = parse(["audit", "verify", "--shard", "1", "--shard", "0", "--from", "7"])
    assert verify.module == "app.commands.audit_verify"
    assert (verify.shard, verify.first, verify.last) == ([1, 0], "7", None)
    as_of = parse(["audit", "as-of", "2026-11-24T14:03:00Z", "price", "--json"])
    assert as_of.module == "app.commands.audit_as_of"
    assert (as_of.keys, as_of.json) == (["price"], True)
    assert parse(["audit", "watch"]).module == "app.commands.audit_watch"


def test_an_action_must_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        make_parser().parse_args(["audit"])
    assert ended.value.code == 2
    assert "ACTION" in capsys.readouterr().err


def test_help_says_what_the_exit_codes_mean(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        make_parser().parse_args(["audit", "verify", "--help"])
    assert "1 a difference was found" in " ".join(capsys.readouterr().out.split())
