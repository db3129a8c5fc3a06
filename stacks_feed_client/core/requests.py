"""The ``SUBSCRIBE`` messages of one connection, from when they are said to their answers.

Each is followed by a ``PING`` with its number. A server handles messages in order, so the
``PONG`` with that number says that the answer is whole, whatever else the server can do.
Where the answer begins is told by ``SUBSCRIBED``; where there is none, by another ``PONG``.
"""

from dataclasses import dataclass, replace

from stacks_feed_client.core.ids import NOTHING
from stacks_feed_client.core.standing import Standing


@dataclass(frozen=True, slots=True)
class Request:
    """One ``SUBSCRIBE``; with ``since`` it asks for what changed since a cursor.

    ``begins`` is the number of a ``PING`` before it. ``heard``: its ``SUBSCRIBED`` came.
    """

    number: int
    members: frozenset[str]
    since: str | None = None
    begins: int | None = None
    heard: bool = False

    @property
    def is_refused(self) -> bool:
        """Whether, once its ``PONG`` came, nothing can be said of what it asked for.

        What becomes of a cursor is always said, unless the request was not understood.
        """
        return self.since is not None and not self.heard


class Requests:
    """Those not yet wholly answered, and what the others make of the cursors that come."""

    def __init__(self, standing: Standing, *, acks: bool) -> None:
        """``acks``: each of them gets a ``SUBSCRIBED``; else only those with a cursor."""
        self._standing, self._acks = standing, acks
        self._open: dict[int, Request] = {}
        # Whose SUBSCRIBED came: the next cursor is about them too.
        self._said = NOTHING
        # Whose values are known to be whole up to any cursor about them.
        self._done = NOTHING
        self._cursor: str | None = None
        self._about = NOTHING
        # What the standing took of that when it was last looked at.
        self._given: frozenset[str] | None = None

    @property
    def is_empty(self) -> bool:
        """Whether every request was wholly answered."""
        return not self._open

    def add(self, request: Request) -> None:
        """Note what was asked."""
        self._open[request.number] = request

    def subscribed(self, *, resumed: bool) -> Request | None:
        """Note a ``SUBSCRIBED``: it answers the oldest request that has none yet.

        ``resumed``: only what changed follows. Returns the request.
        """
        for number, request in self._open.items():
            if not request.heard and self.is_announced(request.since):
                heard = self._open[number] = replace(request, heard=True)
                self._said |= heard.members
                if resumed:
                    self._done |= heard.members
                return heard
        return None

    def is_announced(self, since: str | None) -> bool:
        """Tell whether a ``SUBSCRIBED`` will say where the answer begins."""
        return self._acks or since is not None

    def begun(self, number: int) -> Request | None:
        """Return the request before which a ``PING`` with this number was sent."""
        return next((r for r in self._open.values() if r.begins == number), None)

    def whole(self, number: int) -> list[Request]:
        """Note the ``PONG`` of a request; return those that are wholly answered by it."""
        found = [self._open.pop(each) for each in list(self._open) if each <= number]
        for request in found:
            if not request.is_refused:
                self._said |= request.members
                self._done |= request.members
        self._adopt()
        return found

    def take(self, cursor: str) -> None:
        """Take in a cursor.

        It is about the ids whose ``SUBSCRIBED`` came before it, and is gone on from once
        their values are whole: having more than it covers does no harm.
        """
        self._cursor = cursor
        # Whatever is done was said: while that is the same, so is what a cursor covers.
        unchanged = self._about is self._said
        if not (unchanged and self._standing.renew(cursor, self._given)):
            self._about = self._said
            self._adopt()

    def drop(self, members: frozenset[str]) -> None:
        """Forget ids that were unsubscribed: no cursor from now on is about them."""
        self._said -= members
        self._done -= members
        self._about -= members
        self._open = {
            number: replace(request, members=request.members - members)
            for number, request in self._open.items()
        }

    def _adopt(self) -> None:
        if self._cursor is not None:
            covered = self._about & self._done
            self._given = self._standing.advance(self._cursor, covered)
