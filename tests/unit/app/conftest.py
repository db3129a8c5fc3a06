"""A clean working directory and environment for every test of the composition root."""

import os
from pathlib import Path

import pytest

from app.settings import PREFIX


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No setting of this machine reaches a test, and nothing of a test its files."""
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):  # noqa: TID251 - it is what the test clears
        if name.startswith(PREFIX):
            monkeypatch.delenv(name)
    return tmp_path
