"""What waits for a consumer that is slower than the feed."""

import itertools
from collections import OrderedDict
from typing import Generic

from stacks_feed_client.core.values import K, Update, V


class Mailbox(Generic[K, V]):
    """Updates in order, bounded.

    While fewer than ``limit`` wait every update is kept. From then on an update replaces
    the newest one that waits of its key, and is counted in ``conflated``: at most one for
    each key comes on top of ``limit``.
    """

    def __init__(self, *, limit: int) -> None:
        self._limit = limit
        self._numbers = itertools.count()
        self._waiting: OrderedDict[int, Update[K, V]] = OrderedDict()
        self._newest: dict[K, int] = {}
        self.conflated = 0

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._waiting)

    def put(self, update: Update[K, V]) -> bool:
        """Take in an update; tell whether it replaced one that waited."""
        newest = self._newest.get(update.key)
        if newest is not None and len(self._waiting) >= self._limit:
            self._waiting[newest] = update
            self.conflated += 1
            return True
        number = self._newest[update.key] = next(self._numbers)
        self._waiting[number] = update
        return False

    def pop(self) -> Update[K, V] | None:
        """Take out the oldest, if any waits."""
        if not self._waiting:
            return None
        number, update = self._waiting.popitem(last=False)
        if self._newest[update.key] == number:
            del self._newest[update.key]
        return update
