"""How fast the parts are, each beside a named peer in the same run."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
