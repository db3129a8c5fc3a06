"""`settings` prints what docs/settings.md says."""

import pytest

from app.cli import main
from app.settings_doc import markdown


def test_the_settings_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["settings"]) == 0
    assert capsys.readouterr().out.rstrip("\n") == markdown().rstrip("\n")
