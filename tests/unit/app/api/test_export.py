"""The documents as bytes, and where they are written."""

import json
from pathlib import Path

import pytest

from app.api import __main__
from app.api.export import FOLDER, documents


def test_both_documents_are_readable_json() -> None:
    for text in documents().values():
        assert text.endswith(b"}\n")
        json.loads(text)


def test_writing_leaves_what_is_not_generated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    FOLDER.mkdir(parents=True)
    (FOLDER / "index.html").write_text("kept")
    __main__.main()
    assert {path.name for path in FOLDER.iterdir()} == {"index.html", *documents()}
