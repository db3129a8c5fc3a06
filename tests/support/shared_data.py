"""Finds the reference data that lies beside the project, or skips."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data"


def shared_data(name: str) -> Path:
    """Return the path of a file of reference data; skip the test without it."""
    path = DATA / name
    if not path.exists():
        pytest.skip(f"needs the reference data file {name} in {DATA}")
    return path
