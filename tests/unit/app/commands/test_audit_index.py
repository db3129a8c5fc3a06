"""`audit index`: what is new is added, and it can be begun again."""

import json
from pathlib import Path

import pytest

from app.cli import main
from tests.support.folded import a_folded_file


def test_what_is_new_is_added(
    monkeypatch: pytest.MonkeyPatch, clean: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STACKS_FEED_LOG", "log.sqlite")
    monkeypatch.setenv("STACKS_FEED_AUDIT_INDEX", "elsewhere/index")
    a_folded_file(Path("log.sqlite"))
    counts = []
    for more in ([], [], ["--anew"]):
        assert main(["audit", "index", "--json", *more]) == 0
        said = json.loads(capsys.readouterr().out)
        assert said["path"] == "elsewhere/index"
        counts.append(said["records"])
    assert counts[0] == counts[2] > 0 == counts[1]
    assert main(["audit", "index"]) == 0
    assert capsys.readouterr().out == "elsewhere/index: 0 records indexed\n"
