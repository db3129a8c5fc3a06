"""A feed over its whole life: connections come and go, the values stay."""

import itertools
from dataclasses import dataclass
from typing import Generic

from stacks_feed_client.core import writing
from stacks_feed_client.core.conversation import Books, Conversation, Effects
from stacks_feed_client.core.ids import NOTHING
from stacks_feed_client.core.itinerary import Itinerary
from stacks_feed_client.core.party import Party
from stacks_feed_client.core.status import State, Status
from stacks_feed_client.core.values import K, V
from stacks_feed_client.core.view import View

# A close with this code is about us: coming back would be no better.
POLICY = 1008
_CLIENT_ERRORS = range(400, 500)
# Of those: asked too early, too often, or too slowly.
_PASSING = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True)
class Lost:
    """How a connection ended, or why there was none.

    ``code`` is that of the close frame; ``status`` that of an answer instead of a WebSocket,
    with the seconds that it asks to wait.
    """

    why: str
    code: int | None = None
    status: int | None = None
    retry_after_s: float | None = None

    @property
    def is_final(self) -> bool:
        """Whether the server will not have us, whenever we come."""
        refused = self.status in _CLIENT_ERRORS and self.status not in _PASSING
        return self.code == POLICY or refused


class Machine(Generic[K, V]):
    """Events in, effects out. ``status`` is told by whoever hands in events."""

    def __init__(self, party: Party[K, V], itinerary: Itinerary) -> None:
        self._itinerary = itinerary
        self.books: Books[K, V] = Books(party, View(party), itertools.count(1))
        self._talk: Conversation[K, V] | None = None
        self._opened_s = 0.0
        self._refresh_due = False
        self._wanted = NOTHING
        self.features: frozenset[str] = frozenset()
        self.status = Status(State.CONNECTING, itinerary.url)

    @property
    def url(self) -> str:
        """Where to connect now."""
        return self._itinerary.url

    @property
    def complete(self) -> frozenset[str]:
        """The ids that were answered in full, by this connection or an earlier one."""
        return self.books.standing.complete

    # ---- what its user wants

    def want(self, wanted: frozenset[str]) -> None:
        """Change what is asked for; ``sync`` then says what to send."""
        self._wanted = wanted
        # While there is a connection: not before what was asked for changes with it.
        if self._talk is None:
            self._settle()

    def refresh(self) -> None:
        """Ask for a reading now, or on the next connection."""
        self._refresh_due = True

    def sync(self) -> Effects[K, V]:
        """Say what is to be sent because of what its user wants."""
        self._settle()
        if self._talk is None or self._talk.features is None:
            return Effects()
        effects = self._talk.sync()
        if self._refresh_due:
            self._refresh_due = False
            effects.send.append(writing.MANUAL_UPDATE)
        return effects

    # ---- what happens to a connection

    def opened(self, *, now_s: float) -> Effects[K, V]:
        """Begin a connection that was just opened."""
        self.books.counts.connections += 1
        self._opened_s = now_s
        self._talk = Conversation(self.books, now_s=now_s)
        self._stand()
        return self._talk.open()

    def received(self, said: str | bytes, *, now_s: float) -> Effects[K, V]:
        """Take in a message."""
        if self._talk is None:
            return Effects()
        effects = self._talk.received(said, now_s=now_s)
        if self._talk.features is not None and effects.leave is None:
            self.features = self._talk.features
            effects.send += self.sync().send
        self._stand()
        return effects

    def tick(self, *, now_s: float) -> Effects[K, V]:
        """Look whether the connection is alive; to be called every second."""
        if self._talk is None:
            return Effects()
        effects = self._talk.tick(now_s=now_s)
        if effects.leave is not None and self._talk.is_cut_off:
            self.status = Status(State.STALE, self._itinerary.url, effects.leave)
        return effects

    def lost(self, lost: Lost, *, now_s: float, draw: float) -> float:
        """End a connection, or an attempt at one; return how long to wait for the next.

        ``draw`` is uniform in [0, 1). Not to be called when it is final.
        """
        talk, self._talk = self._talk, None
        if talk is not None and talk.back_at_s is not None:
            wait_s = self._itinerary.dismissed(now_s=now_s, back_at_s=talk.back_at_s)
        else:
            wait_s = self._itinerary.lost(
                now_s=now_s,
                lived_s=0.0 if talk is None else now_s - self._opened_s,
                draw=draw,
                retry_after_s=lost.retry_after_s,
            )
        self.status = Status(State.CONNECTING, self._itinerary.url, lost.why)
        return wait_s

    def close(self, why: str | None = None) -> None:
        """End for good."""
        self._talk = None
        self.status = Status(State.CLOSED, self._itinerary.url, why)

    def refusal(self, lost: Lost) -> str:
        """Say why the server will not have us, in its words too."""
        said = self._talk.last_error if self._talk else None
        return f"{lost.why}: {said}" if said else lost.why

    def _settle(self) -> None:
        # Not compared by content: there may be thousands, and this is asked at every message.
        if self._wanted is not self.books.standing.wanted:
            self.books.standing.want(self._wanted)
            self.books.view.keep(self._wanted)

    def _stand(self) -> None:
        talk, before = self._talk, self.status
        if talk is None or talk.state is before.state:
            return
        first = before.state is State.FILLING
        why = (
            "the server is cut off from its log" if talk.state is State.STALE else None
        )
        recovered = talk.recovered if first else None
        self.status = Status(talk.state, self._itinerary.url, why, recovered)
