"""Where in the log the newest record of each key stands, the withdrawn keys included."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice, repeat
from typing import Generic, NamedTuple, TypeVar

_Key = TypeVar("_Key", bound=tuple[str, str])

# Withdrawn keys remembered at most; what is above that is forgotten as if it were old.
MAX_GONE = 1_000_000


class Place(NamedTuple):
    """Where a record stands; ``time_ms`` is its append time.

    ``term`` is the id of the term that the record says it was written in, if it does.
    """

    partition: int
    offset: int
    time_ms: int
    term: str | None = None


# More than any partition has.
_PARTITION_BITS = 20
_64_BITS = 0xFFFFFFFFFFFFFFFF

# Of records whose place nobody asks for.
NOWHERE: Iterable[Place] = repeat(Place(0, 0, 0))

Positions = Mapping[int, int]


class Places(Generic[_Key]):
    """The offset of each key's newest record, by partition in the order of offsets.

    A key is a pair; all keys of one owner (its first part) stand in one partition.
    """

    def __init__(self) -> None:
        self._offsets: dict[int, dict[_Key, int]] = {}
        self._partitions: dict[str, int] = {}
        self._gone: dict[str, dict[_Key, Place]] = {}
        self._oldest_gone: deque[tuple[_Key, Place]] = deque()
        # Of all records that hold a value now: another number when these are others.
        self.fingerprint = 0
        # In each partition the position past the last tombstone that was forgotten.
        self._forgotten: dict[int, int] = {}

    def __len__(self) -> int:
        """Return how many withdrawn keys are remembered, overtaken ones included."""
        return len(self._oldest_gone)

    @property
    def values(self) -> int:
        """How many keys hold a value."""
        return sum(map(len, self._offsets.values()))

    def put(self, key: _Key, place: Place) -> None:
        """Note the newest record of a key."""
        offsets = self._offsets.setdefault(place.partition, {})
        self._mark(place.partition, offsets.pop(key, None))
        offsets[key] = place.offset
        self._mark(place.partition, place.offset)
        owner = key[0]
        self._partitions[owner] = place.partition
        if owner in self._gone:
            self._bring_back(key)

    def withdraw(self, key: _Key, place: Place) -> None:
        """Note that the newest record of a key is a tombstone."""
        owner = key[0]
        offsets = self._offsets.setdefault(place.partition, {})
        self._mark(place.partition, offsets.pop(key, None))
        self._partitions[owner] = place.partition
        self._gone.setdefault(owner, {})[key] = place
        self._oldest_gone.append((key, place))
        if len(self._oldest_gone) > MAX_GONE:
            self._forget_oldest()

    def forget_gone(self, *, before_ms: int) -> None:
        """Forget keys that were withdrawn before a time."""
        while self._oldest_gone and self._oldest_gone[0][1].time_ms < before_ms:
            self._forget_oldest()

    def has_forgotten(self, since: Positions) -> bool:
        """Tell whether a key that was withdrawn at or past ``since`` was forgotten."""
        return any(
            position > since.get(partition, 0)
            for partition, position in self._forgotten.items()
        )

    def newest(self) -> Iterator[tuple[int, int]]:
        """Yield partition and offset of the newest record of a value in each partition."""
        for partition in sorted(self._offsets):
            for offset in islice(reversed(self._offsets[partition].values()), 1):
                yield partition, offset

    def partition_of(self, owner: str) -> int:
        """Return where the keys of an owner stand that has had any."""
        return self._partitions[owner]

    def offset_of(self, key: _Key) -> int | None:
        """Return where the record of a key stands in the partition of its owner.

        ``None`` for a key that has no value.
        """
        partition = self._partitions.get(key[0])
        return None if partition is None else self._offsets[partition].get(key)

    def is_new(self, key: _Key, since: Positions) -> bool:
        """Tell whether the newest record of a key stands at or past ``since``."""
        partition = self._partitions.get(key[0])
        if partition is None:
            return False
        offset = self._offsets[partition].get(key)
        if offset is None:
            gone = self._gone.get(key[0], {}).get(key)
            offset = gone.offset if gone else -1
        return offset >= since.get(partition, 0)

    def new(self, since: Positions) -> Iterator[_Key]:
        """Yield the keys whose newest record is a value at or past ``since``.

        What it costs depends on how many these are.
        """
        for partition, offsets in self._offsets.items():
            first = since.get(partition, 0)
            for key, offset in reversed(offsets.items()):
                if offset < first:
                    break
                yield key

    def gone(self, since: Positions, owner: str | None = None) -> Iterator[_Key]:
        """Yield the keys withdrawn at or past ``since``: all, or those of one owner."""
        among = self._gone if owner is None else {owner: self._gone.get(owner, {})}
        for withdrawn in among.values():
            for key, place in withdrawn.items():
                if place.offset >= since.get(place.partition, 0):
                    yield key

    def _mark(self, partition: int, offset: int | None) -> None:
        """Put a record into the fingerprint, or take it out again."""
        if offset is not None:
            self.fingerprint ^= _scattered((offset << _PARTITION_BITS) + partition)

    def _forget_oldest(self) -> None:
        key, place = self._oldest_gone.popleft()
        position = max(self._forgotten.get(place.partition, 0), place.offset + 1)
        self._forgotten[place.partition] = position
        # Unless it came back, or was withdrawn again.
        if self._gone.get(key[0], {}).get(key) == place:
            self._bring_back(key)

    def _bring_back(self, key: _Key) -> None:
        withdrawn = self._gone[key[0]]
        withdrawn.pop(key, None)
        if not withdrawn:
            del self._gone[key[0]]


def _scattered(number: int) -> int:
    """Return 64 bits that all depend on every bit of a number (splitmix64's finish).

    No two numbers of 64 bits give the same.
    """
    number = (number + 0x9E3779B97F4A7C15) & _64_BITS
    number = ((number ^ (number >> 30)) * 0xBF58476D1CE4E5B9) & _64_BITS
    number = ((number ^ (number >> 27)) * 0x94D049BB133111EB) & _64_BITS
    return number ^ (number >> 31)
