"""What was true of each key, one state after the other, and what follows for who hears it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from eventlog.partition import partition_of

ABSENT = 0
PARTITIONS = 2


class Key(NamedTuple):
    """A price has no token beside its owner, which is the token itself."""

    owner: str
    token: str = ""


@dataclass
class History:
    """The states of each key: its values only grow, in between it may be absent.

    A state is noted before it is appended to the log, its offset after that.
    """

    states: dict[Key, list[int]] = field(default_factory=dict)
    _offsets: dict[Key, list[int | None]] = field(default_factory=dict)
    value: int = 0

    def put(self, key: Key) -> int:
        """Note a new value of a key."""
        self.value += 1
        self._note(key, self.value)
        return self.value

    def withdraw(self, key: Key) -> None:
        self._note(key, ABSENT)

    def appended(self, key: Key, offset: int) -> None:
        """Note where the newest state stands."""
        self._offsets[key][-1] = offset

    def _note(self, key: Key, value: int) -> None:
        self.states.setdefault(key, [ABSENT]).append(value)
        self._offsets.setdefault(key, [-1]).append(None)

    def find(self, key: Key, value: int, *, start: int) -> int | None:
        """Return the first state from ``start`` on that has a value."""
        try:
            return self.states.get(key, [ABSENT]).index(value, start)
        except ValueError:
            return None

    def value_at(self, key: Key, state: int) -> int:
        return self.states.get(key, [ABSENT])[state]

    def last(self, key: Key) -> int:
        """Return the newest state of a key."""
        return len(self.states.get(key, [ABSENT])) - 1

    def reached(self, key: Key, positions: Mapping[int, int]) -> int:
        """Return the state of a key for who has read the log up to ``positions``."""
        end = positions[partition_of(key.owner.encode(), PARTITIONS)]
        offsets = self._offsets.get(key, [-1])
        for state in range(len(offsets) - 1, -1, -1):
            offset = offsets[state]
            if offset is not None and offset < end:
                return state
        return 0


def positions_of(cursor: str) -> dict[int, int]:
    """Return the positions in a cursor, by partition."""
    _, _, _, places, _ = cursor.split(".")
    found = places.split("-")
    return {number: int(each, 16) for number, each in enumerate(found)}
