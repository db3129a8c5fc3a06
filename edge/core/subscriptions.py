"""Who gets what: an index from each id to the clients that asked for it."""

from collections.abc import Iterable, Iterator
from typing import Generic, NewType, TypeVar

ClientId = NewType("ClientId", int)

_Id = TypeVar("_Id")


class Subscriptions(Generic[_Id]):
    """The subscriptions of one party. ``_Id`` is what a client may name."""

    def __init__(self) -> None:
        self._all: dict[ClientId, None] = {}
        self._by_id: dict[_Id, dict[ClientId, None]] = {}
        self._by_client: dict[ClientId, dict[_Id, None]] = {}

    def add(self, client: ClientId, each: _Id) -> None:
        """Subscribe to one id."""
        self._by_id.setdefault(each, {})[client] = None
        self._by_client.setdefault(client, {})[each] = None

    def add_all(self, client: ClientId) -> None:
        """Subscribe to everything, beside what is subscribed to by name."""
        self._all[client] = None

    def remove(self, client: ClientId, ids: Iterable[_Id]) -> list[_Id]:
        """Unsubscribe from ids by name; return those that nobody names any more."""
        return [each for each in ids if self._drop(client, each)]

    def remove_all(self, client: ClientId) -> list[_Id]:
        """Unsubscribe from everything; return the ids that nobody names any more."""
        self._all.pop(client, None)
        named = list(self._by_client.get(client, ()))
        return self.remove(client, named)

    def _drop(self, client: ClientId, each: _Id) -> bool:
        mine, theirs = self._by_client.get(client, {}), self._by_id.get(each, {})
        if each not in mine:
            return False
        del mine[each], theirs[client]
        if not mine:
            del self._by_client[client]
        if not theirs:
            del self._by_id[each]
        return not theirs

    def of_all(self) -> tuple[ClientId, ...]:
        """Return the clients subscribed to everything."""
        return tuple(self._all)

    def is_named(self, each: _Id) -> bool:
        """Tell whether any client named an id."""
        return each in self._by_id

    def of(self, each: _Id) -> Iterator[ClientId]:
        """Yield the clients that named an id and are not subscribed to everything."""
        return (
            client for client in self._by_id.get(each, ()) if client not in self._all
        )
