"""The environments of peers that are not among our own dependencies."""

import os
import subprocess
import sys
from pathlib import Path

from benchmarks import ROOT

_PACKAGES = ("quixstreams==3.28.1", "pydantic", "orjson")


class NoPeer(Exception):
    """The peer cannot be had here; the text says why."""


def quix_python() -> str:
    """Return the Python of an environment with Quix Streams, made on first use.

    ``BENCHMARKS_QUIX_PYTHON`` names another one. Raises ``NoPeer``.
    """
    given = os.environ.get("BENCHMARKS_QUIX_PYTHON")
    folder = ROOT / ".venv-quix"
    python = Path(given or folder / "bin" / "python")
    if not _has_quix(python):
        if given:
            raise NoPeer(f"{given} has no quixstreams")
        _install(folder)
    return str(python)


def _has_quix(python: Path) -> bool:
    return python.exists() and _succeeds([str(python), "-c", "import quixstreams"])


def _install(folder: Path) -> None:
    commands = [
        [sys.executable, "-m", "venv", str(folder)],
        [str(folder / "bin" / "pip"), "install", "--quiet", *_PACKAGES],
    ]
    if not all(map(_succeeds, commands)):
        raise NoPeer(f"cannot install {_PACKAGES[0]} into {folder.name}")


def _succeeds(command: list[str]) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
