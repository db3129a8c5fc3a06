"""``stacks-feed backup``: copy a SQLite log while services use it."""

import argparse
from pathlib import Path

from app.backup import back_up
from app.commands.service import overrides
from app.settings import read
from runtime.clock import SystemClock


def run(arguments: argparse.Namespace) -> int:
    """Write the copy; 0 if it is there and whole."""
    settings = read(overrides(arguments))
    copy = Path(arguments.copy)
    made = back_up(settings, copy, clock=SystemClock())
    size_mb = made.size_bytes / 1_000_000
    print(f"{copy} is a copy of log {made.identity.id}, {size_mb:,.1f} MB, checked")
    return 0
