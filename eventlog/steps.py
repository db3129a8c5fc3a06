"""What an adapter calls at each step of its work, so that a test can stop it there."""

from collections.abc import Callable

# Told the name of what has just been done; the names are the adapters' own.
OnStep = Callable[[str], None]


def no_step(_: str) -> None:
    """Pass every step."""
