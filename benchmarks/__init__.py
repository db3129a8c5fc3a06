"""How fast the parts are, each beside a named peer in the same run."""

from pathlib import Path
from secrets import token_hex

ROOT = Path(__file__).parents[1]


def new_prefix(what: str) -> str:
    """Return a prefix of topics that no earlier run has used on the same broker."""
    return f"bench-{token_hex(3)}-{what}-"
