"""`settings` prints what docs/settings.md says."""

from pathlib import Path

import pytest

from app.cli import main
from app.settings_doc import markdown


@pytest.mark.parametrize("where", ["environment", "file"])
@pytest.mark.parametrize(
    "command", [["settings"], ["health", "http://127.0.0.1:1"], ["doctor"], ["tail"]]
)
def test_a_misspelt_setting_is_2_and_the_nearest_name_in_every_command(
    command: list[str],
    where: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if where == "environment":
        monkeypatch.setenv("STACKS_FEED_PRT", "1")
    else:
        Path(".env").write_text("STACKS_FEED_PRT=1\n")
    assert main(command) == 2
    said = capsys.readouterr()
    assert said.err == (
        f"stacks-feed {command[0]}: STACKS_FEED_PRT is not a setting; did you mean "
        "STACKS_FEED_PORT?\n"
    )
    # Whoever is sent to the list finds it.
    assert ("STACKS_FEED_PORT" in said.out) is (command == ["settings"])


def test_a_malformed_setting_is_2_after_the_list(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STACKS_FEED_PORT", "many")
    assert main(["settings"]) == 2
    said = capsys.readouterr()
    assert "STACKS_FEED_PORT: Input should be a valid integer" in said.err
    assert said.out.startswith("# Settings")


def test_the_settings_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["settings"]) == 0
    assert capsys.readouterr().out.rstrip("\n") == markdown().rstrip("\n")
