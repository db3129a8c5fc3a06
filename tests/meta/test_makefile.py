"""What `make` says before anything is installed."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.shared_data import ROOT


@pytest.mark.parametrize("target", ["up", "test", "check", "fast"])
def test_an_old_python_is_refused_in_one_line(tmp_path: Path, target: str) -> None:
    make = shutil.which("make")
    if make is None:
        pytest.skip("needs make: apt install make")
    old = tmp_path / "python3"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.10.13 || exit 1\n')
    old.chmod(0o755)
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    # A make above this one would hand down its options, and its level in the messages.
    above = {"MAKEFLAGS", "MFLAGS", "MAKELEVEL"}
    environment = dict(os.environ)  # noqa: TID251 - for a make, which has no settings
    for name in above:
        environment.pop(name, None)
    ended = subprocess.run(  # noqa: S603 - the path comes from which()
        [make, f"PYTHON={old}", target],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    first, *rest = ended.stderr.splitlines()
    assert "needs Python 3.11 or later" in first
    assert "Python 3.10.13" in first
    assert all(line.startswith("make:") for line in rest)
    assert not ended.stdout
