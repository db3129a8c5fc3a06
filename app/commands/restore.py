"""``stacks-feed restore``: put a copy of a SQLite log in its place."""

import argparse
from pathlib import Path

from app.commands.service import overrides
from app.restore import restore_copy
from app.settings import read
from runtime.clock import SystemClock


def run(arguments: argparse.Namespace) -> int:
    """Check the copy and put it in place; 0 if it is there."""
    settings = read(overrides(arguments))
    copy = Path(arguments.copy)
    restored = restore_copy(settings, copy, clock=SystemClock())
    print(f"{restored.path} is now the copy, log {restored.identity.id}")
    if restored.kept is not None:
        print(f"the log that was there is kept at {restored.kept}")
    print(
        "Start the services. Clients that have seen what the copy lacks are sent "
        "everything when they come back; all others go on from their cursors. "
        "`stacks-feed audit verify` tells whether the copy is what the fold makes of it."
    )
    return 0
