"""What a client holds: of each key the newest value, whatever connections it came by."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Generic

from stacks_feed_client.core.ids import ALL, selects
from stacks_feed_client.core.party import Party
from stacks_feed_client.core.values import K, Update, V


class View(Generic[K, V]):
    """The folded table.

    A value is *in doubt* from when everything is asked for anew until it is heard again:
    what was withdrawn meanwhile is not mentioned in the answer. What is in doubt is shown
    as it was, gives way to any value of its key, and is removed if the answer lacks it.
    """

    def __init__(self, party: Party[K, V]) -> None:
        self._party = party
        self._values: dict[K, V] = {}
        # By which request each was put in doubt.
        self._doubts: dict[K, int] = {}
        self.values: Mapping[K, V] = MappingProxyType(self._values)
        self.repeats = 0

    def take(self, value: V) -> Update[K, V] | None:
        """Take in a value; return what is news, ``None`` for what is not newer."""
        key = self._party.key(value)
        held = self._values.get(key)
        doubted = self._doubts.pop(key, None) is not None
        if held is not None and not doubted and not self._is_newer(value, held):
            self.repeats += 1
            return None
        self._values[key] = value
        if held is not None and self._party.content(held) == self._party.content(value):
            return None
        return Update(key, value)

    def remove(self, key: K) -> Update[K, V] | None:
        """Forget a key with its version; return that as news if it was held."""
        self._doubts.pop(key, None)
        return Update(key, None) if self._values.pop(key, None) is not None else None

    def doubt(
        self, members: frozenset[str], *, request: int, named: frozenset[str]
    ) -> bool:
        """Put in doubt what belongs to these ids, until the answer to ``request`` is whole.

        All does not stand for those ``named`` beside it: their answers have more in them.
        Tells whether anything was held of them.
        """
        owner = self._party.owner
        doubted = {
            key: request
            for key in self._values
            if owner(key) in members or (ALL in members and owner(key) not in named)
        }
        self._doubts |= doubted
        return bool(doubted)

    def settle(self, request: int) -> Iterator[Update[K, V]]:
        """Remove what a whole answer did not mention; yield that as news."""
        gone = [key for key, doubt in self._doubts.items() if doubt == request]
        for key in gone:
            del self._doubts[key], self._values[key]
            yield Update(key, None)

    def keep(self, wanted: frozenset[str]) -> None:
        """Forget, untold, what nobody wants any more."""
        stale = [
            key for key in self._values if not selects(wanted, self._party.owner(key))
        ]
        for key in stale:
            del self._values[key]
            self._doubts.pop(key, None)

    def of(self, members: frozenset[str]) -> dict[K, V]:
        """Return what is held of these ids."""
        owner = self._party.owner
        return {
            key: value
            for key, value in self._values.items()
            if selects(members, owner(key))
        }

    def _is_newer(self, value: V, held: V) -> bool:
        version, held_version = self._party.version(value), self._party.version(held)
        if version is not None and held_version is not None:
            return version > held_version
        # Without versions the order of arrival is all there is; servers repeat themselves.
        return self._party.content(value) != self._party.content(held)
