"""Values of the file that only somebody else can have written there.

SQLite keeps in any column whatever it is given: a number where it cannot be one stays text,
and nothing keeps a number from being negative.
"""

from collections.abc import Iterable
from typing import Any

# The largest number that any reader of our records can hold.
_MAX = 2**53 - 1


class DamagedValue(Exception):
    """A column holds what this program never wrote there; ``what`` says which."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


def require_counts(values: Iterable[object], what: str) -> None:
    """Raise ``DamagedValue`` unless all are whole numbers from 0 to ``_MAX``."""
    # A reader hands over hundreds of thousands a second, of which most are the same.
    found: set[Any] = set(values)
    if set(map(type, found)) - {int} or (found and not _are_counts(found)):
        raise DamagedValue(what)


def _are_counts(numbers: set[int]) -> bool:
    return min(numbers) >= 0 and max(numbers) <= _MAX


def require_numbers(values: Iterable[object], what: str) -> None:
    """Raise ``DamagedValue`` unless all are whole numbers."""
    if set(map(type, values)) - {int}:
        raise DamagedValue(what)


APPEND_TIME = "the append time of a record"
PLACE = "where a partition begins or ends"
AGES = "how old the records of a partition are"
