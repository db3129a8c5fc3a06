"""What a program holds in its hands: the values, and what becomes of them."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping
from types import TracebackType
from typing import Generic

from stacks_feed_client.core.ids import NOTHING, selection, selects
from stacks_feed_client.core.machine import Machine
from stacks_feed_client.core.mailbox import Mailbox
from stacks_feed_client.core.status import Counts, Observed, State, Status
from stacks_feed_client.core.values import K, Update, V
from stacks_feed_client.errors import FeedClosed, FeedRefused

# Of what a slow reader of statuses gets: the newest.
_STATUSES = 64


class Changes:
    """Wakes all who wait for the next change."""

    def __init__(self) -> None:
        self._next = asyncio.Event()

    def tell(self) -> None:
        """Say that something changed."""
        changed, self._next = self._next, asyncio.Event()
        changed.set()

    async def wait(self) -> None:
        """Return at the next change."""
        await self._next.wait()


class Feed(Generic[K, V]):
    """A feed that keeps itself connected; made by ``connect``.

    ``view`` has the newest value of each key that is subscribed to, all subscriptions
    together; it is live, and stays as it was while there is no connection.
    """

    def __init__(self, machine: Machine[K, V], *, buffer: int) -> None:
        self._machine, self._buffer = machine, buffer
        self._subscriptions: list[Subscription[K, V]] = []
        self._status = machine.status
        self._status_readers: list[deque[Status]] = []
        self.changes = Changes()
        self.wanted = asyncio.Event()
        self.refused: FeedRefused | None = None
        self.view: Mapping[K, V] = machine.books.view.values

    # ---- what a program asks

    @property
    def status(self) -> Status:
        """How the feed stands now."""
        return self._status

    @property
    def features(self) -> frozenset[str]:
        """What the server grants beyond the base protocol; empty with an old server."""
        return self._machine.features

    @property
    def counts(self) -> Counts:
        """What happened so far."""
        return self._machine.books.counts

    @property
    def observed(self) -> Observed:
        """How old what the server says was at its last heartbeat."""
        return self._machine.books.observed

    @property
    def ignored(self) -> Mapping[str, str]:
        """Ids that the server would not take, and why, if it says so; the newest 1,000."""
        return self._machine.books.ignored

    @property
    def url(self) -> str:
        """The address in use, or the next to be tried."""
        return self._machine.url

    @property
    def is_closed(self) -> bool:
        """Whether it is over: its context was left, or the server refused."""
        return self._status.state is State.CLOSED

    def subscribe(self, *ids: str) -> "Subscription[K, V]":
        """Follow tokens (or users, of balances); without ids all there are.

        Begins at once; what is known already comes first. Raises ``FeedClosed`` or
        ``FeedRefused`` when it is over, ``ValueError`` for an id longer than any id and
        for ``*``, which is none.
        """
        self.check()
        if self.is_closed:
            raise FeedClosed
        made = Subscription(self, self._machine, selection(ids), limit=self._buffer)
        self._subscriptions.append(made)
        self._want()
        return made

    async def snapshot(self) -> dict[K, V]:
        """Return all values once everything subscribed to has been answered in full.

        Raises ``ValueError`` when nothing is subscribed to.
        """
        if not self._subscriptions:
            raise ValueError("nothing is subscribed to")
        await self.until(lambda: self._selected() <= self._machine.complete)
        return dict(self.view)

    def refresh(self) -> None:
        """Ask the server to read upstream soon; it never says whether it did.

        Calls within five seconds become one request.
        """
        self._machine.refresh()
        self.wanted.set()

    def statuses(self) -> AsyncGenerator[Status, None]:
        """Return an iterator over how the feed stands, now and after every change.

        It ends with ``CLOSED``. A reader that is slow misses the oldest.
        """
        waiting = deque([self._status], maxlen=_STATUSES)
        self._status_readers.append(waiting)
        return self._read_statuses(waiting)

    async def wait_closed(self) -> None:
        """Return when it is over; raise ``FeedRefused`` if the server refused."""
        while not self.is_closed:
            await self.changes.wait()
        self.check()

    # ---- what happens to it

    def check(self) -> None:
        """Raise ``FeedRefused`` if the server refused."""
        if self.refused is not None:
            raise self.refused

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Return when something is so; raise when it is over before."""
        while not is_so():
            self.check()
            if self.is_closed:
                raise FeedClosed
            await self.changes.wait()

    def deliver(self, updates: list[Update[K, V]]) -> None:
        """Give updates to the subscriptions they concern."""
        owner = self._machine.books.party.owner
        for update in updates:
            each = owner(update.key)
            for subscription in self._subscriptions:
                if selects(subscription.ids, each):
                    self.counts.conflated += subscription.put(update)

    def tell(self) -> None:
        """Say to whoever waits that something may have changed."""
        if self._machine.status != self._status:
            self._status = self._machine.status
            for waiting in self._status_readers:
                waiting.append(self._status)
        self.changes.tell()

    def close(self, refused: FeedRefused | None = None) -> None:
        """End it."""
        if not self.is_closed:
            self.refused = refused
            self._machine.close(None if refused is None else refused.why)
            self.tell()

    def leave(self, subscription: "Subscription[K, V]") -> None:
        """Forget a subscription."""
        self._subscriptions.remove(subscription)
        self._want()

    async def _read_statuses(
        self, waiting: deque[Status]
    ) -> AsyncGenerator[Status, None]:
        try:
            while True:
                while waiting:
                    yield waiting.popleft()
                if self.is_closed:
                    return
                await self.changes.wait()
        finally:
            # By identity: two readers may have the same waiting.
            readers = self._status_readers
            self._status_readers = [each for each in readers if each is not waiting]

    def _want(self) -> None:
        self._machine.want(self._selected())
        self.wanted.set()

    def _selected(self) -> frozenset[str]:
        return NOTHING.union(*(each.ids for each in self._subscriptions))


class Subscription(Generic[K, V]):
    """The updates of some ids, to be iterated over; closing it unsubscribes.

    Every update is there while fewer than the buffer of the feed wait; a slower reader
    gets of each key the newest, and ``conflated`` counts what it did not get.
    """

    def __init__(
        self,
        feed: Feed[K, V],
        machine: Machine[K, V],
        ids: frozenset[str],
        *,
        limit: int,
    ) -> None:
        self._feed, self._machine = feed, machine
        self._mailbox: Mailbox[K, V] = Mailbox(limit=limit)
        self._is_closed = False
        self.ids = ids
        for key, value in machine.books.view.of(ids).items():
            self._mailbox.put(Update(key, value))

    @property
    def conflated(self) -> int:
        """How many updates gave way to newer ones of their key."""
        return self._mailbox.conflated

    def __aiter__(self) -> "Subscription[K, V]":
        """Return itself: there is one reader."""
        return self

    async def __anext__(self) -> Update[K, V]:
        """Return the next update; end when this or the feed is closed.

        Raises ``FeedRefused`` when the server refused.
        """
        while not self._is_closed:
            update = self._mailbox.pop()
            if update is not None:
                return update
            self._feed.check()
            if self._feed.is_closed:
                break
            await self._feed.changes.wait()
        raise StopAsyncIteration

    async def snapshot(self) -> dict[K, V]:
        """Return the values of these ids once they have been answered in full."""
        await self._feed.until(lambda: self.ids <= self._machine.complete)
        return self._machine.books.view.of(self.ids)

    def put(self, update: Update[K, V]) -> bool:
        """Take in an update; tell whether it replaced one that waited."""
        return self._mailbox.put(update)

    def close(self) -> None:
        """Unsubscribe from what no other subscription wants, and end the iteration."""
        if not self._is_closed:
            self._is_closed = True
            self._feed.leave(self)
            self._feed.changes.tell()

    async def __aenter__(self) -> "Subscription[K, V]":
        """Return itself."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()
