"""A feed over its whole life: connections come and go, the values stay."""

import itertools
import re
from collections import deque
from dataclasses import dataclass
from typing import Generic

from stacks_feed_client.core import writing
from stacks_feed_client.core.conversation import Books, Conversation, Effects
from stacks_feed_client.core.ids import NOTHING
from stacks_feed_client.core.itinerary import Itinerary
from stacks_feed_client.core.pace import Pace
from stacks_feed_client.core.party import Party
from stacks_feed_client.core.status import State, Status
from stacks_feed_client.core.values import K, V
from stacks_feed_client.core.view import View

# A close with this code is about us. Coming back would be no better, unless the server says
# that we were too fast.
POLICY = 1008
_TOO_FAST = re.compile(
    r"\brate\b|\btoo many (?:messages|requests|bytes)\b", re.IGNORECASE
)
# An address had its share of bytes, which others behind it may have used up: no reason to
# speak more slowly.
_TOO_MUCH = re.compile(r"\btoo many bytes\b", re.IGNORECASE)
# An edge does no more than one refresh in ten seconds for one address.
REFRESH_S = 5.0
_CLIENT_ERRORS = range(400, 500)
# Of those: asked too early, too often, or too slowly.
_PASSING = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True)
class Lost:
    """How a connection ended, or why there was none.

    ``code`` and ``reason`` are those of the server's close frame; ``status`` is that of an
    answer instead of a WebSocket, with the seconds that it asks to wait.
    """

    why: str
    code: int | None = None
    reason: str = ""
    status: int | None = None
    retry_after_s: float | None = None

    @property
    def is_final(self) -> bool:
        """Whether the server will not have us, as far as code and status tell."""
        refused = self.status in _CLIENT_ERRORS and self.status not in _PASSING
        return self.code == POLICY or refused


class Machine(Generic[K, V]):
    """Events in, effects out. ``status`` is told by whoever hands in events.

    What is to be sent is taken out with ``next_text``, at a pace that servers allow. While a
    message waits for its turn nothing is added for what the user wants: subscriptions that
    come and go meanwhile cancel out, or become one message. So no more waits than one change
    of what is wanted takes, and a request for a sign of life now and then.
    """

    def __init__(
        self, party: Party[K, V], itinerary: Itinerary, *, pace: Pace | None = None
    ) -> None:
        self._itinerary = itinerary
        self._pace = pace or Pace()
        self._outbox: deque[str] = deque()
        self.books: Books[K, V] = Books(party, View(party), itertools.count(1))
        self._talk: Conversation[K, V] | None = None
        self._opened_s = 0.0
        self._refresh_due = False
        self._refreshed_s: float | None = None
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
        """Change what is asked for; ``next_text`` then has what to send."""
        self._wanted = wanted
        # Once a server was asked: not before what it is asked for changes with it.
        if self._talk is None or self._talk.features is None:
            self._settle()

    def refresh(self) -> None:
        """Ask for a reading: now, or once connected, or once the last one is a while ago."""
        self._refresh_due = True

    # ---- what is sent

    def has_text(self, *, now_s: float) -> bool:
        """Tell whether there is something to send, now or after ``wait_s``."""
        if self._talk is None:
            return False
        if self._outbox:
            return True
        if self._talk.features is None:
            return False
        return self._talk.asked is not self._wanted or self._is_refresh_due(now_s)

    def wait_s(self, *, now_s: float) -> float:
        """Return how long to wait before the next message; 0 when it may be sent now."""
        return self._pace.wait_s(now_s=now_s)

    def next_text(self, *, now_s: float) -> str | None:
        """Take out the next message to be sent, if there is one and it may be sent now."""
        if self._talk is None or self._pace.wait_s(now_s=now_s) > 0:
            return None
        if not self._outbox:
            self._ask(self._talk, now_s)
        if not self._outbox:
            return None
        self._pace.spend(now_s=now_s)
        return self._outbox.popleft()

    # ---- what happens to a connection

    def opened(self, *, now_s: float) -> Effects[K, V]:
        """Begin a connection that was just opened."""
        self.books.counts.connections += 1
        self._opened_s = now_s
        self._talk = Conversation(self.books, now_s=now_s)
        self._stand()
        return self._queued(self._talk.open())

    def received(self, said: str | bytes, *, now_s: float) -> Effects[K, V]:
        """Take in a message."""
        if self._talk is None:
            return Effects()
        effects = self._talk.received(said, now_s=now_s)
        if self._talk.features is not None and effects.leave is None:
            self.features = self._talk.features
        self._stand()
        return self._queued(effects)

    def tick(self, *, now_s: float) -> Effects[K, V]:
        """Look whether the connection is alive; to be called every second."""
        if self._talk is None:
            return Effects()
        effects = self._talk.tick(now_s=now_s)
        if effects.leave is not None and effects.leave == self._talk.stale_because:
            self.status = Status(State.STALE, self._itinerary.url, effects.leave)
        return self._queued(effects)

    def lost(self, lost: Lost, *, now_s: float, draw: float) -> float | None:
        """End a connection, or an attempt at one; return how long to wait for the next.

        ``draw`` is uniform in [0, 1). ``None``: no address will have us, it is over.
        """
        why, was_too_fast = self.refusal(lost), self._was_too_fast(lost)
        was_too_much = self._closed_with(lost, _TOO_MUCH)
        talk, self._talk = self._talk, None
        self._outbox.clear()
        self._settle()
        lived_s = 0.0 if talk is None else now_s - self._opened_s
        if was_too_fast:
            # However long it took to be too fast: come back later each time, and slower.
            lived_s = 0.0
            if not was_too_much:
                self._pace.slow_down()
        is_refused = lost.is_final and not was_too_fast
        back_at_s = None if talk is None or is_refused else talk.back_at_s
        wait_s: float | None
        if back_at_s is not None:
            wait_s = self._itinerary.dismissed(
                now_s=now_s, back_at_s=back_at_s, draw=draw
            )
        else:
            wait_s = self._itinerary.lost(
                now_s=now_s,
                lived_s=lived_s,
                draw=draw,
                retry_after_s=lost.retry_after_s,
                is_refused=is_refused,
            )
        self.status = Status(State.CONNECTING, self._itinerary.url, why)
        return wait_s

    def close(self, why: str | None = None) -> None:
        """End for good."""
        self._talk = None
        self._outbox.clear()
        self.status = Status(State.CLOSED, self._itinerary.url, why)

    def refusal(self, lost: Lost) -> str:
        """Say why a connection ended, in the words of the server too if it was about us."""
        said = self._talk.last_error if self._talk and lost.code == POLICY else None
        return f"{lost.why}: {said}" if said else lost.why

    def _was_too_fast(self, lost: Lost) -> bool:
        """Tell whether a close means that we asked for too much: later we are welcome again."""
        return lost.code == POLICY and self._closed_with(lost, _TOO_FAST)

    def _closed_with(self, lost: Lost, words: re.Pattern[str]) -> bool:
        """Tell whether the server gave such a reason for a close, there or just before."""
        reasons = [lost.reason]
        if self._talk is not None:
            reasons += [self._talk.last_error or "", self._talk.last_error_code or ""]
        return any(words.search(each) for each in reasons)

    def _queued(self, effects: Effects[K, V]) -> Effects[K, V]:
        """Move what is to be sent to where ``next_text`` takes it from."""
        self._outbox += effects.send
        effects.send = []
        return effects

    def _ask(self, talk: Conversation[K, V], now_s: float) -> None:
        """Note what is to be sent because of what its user wants."""
        if talk.features is None:
            return
        self._settle()
        self._outbox += talk.sync().send
        if self._is_refresh_due(now_s):
            self._refresh_due, self._refreshed_s = False, now_s
            self._outbox.append(writing.MANUAL_UPDATE)
        # With nothing left to ask for there may be nothing left to wait for.
        self._stand()

    def _is_refresh_due(self, now_s: float) -> bool:
        if not self._refresh_due:
            return False
        return self._refreshed_s is None or now_s - self._refreshed_s >= REFRESH_S

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
        why = talk.stale_because if talk.state is State.STALE else None
        recovered = talk.recovered if first else None
        self.status = Status(talk.state, self._itinerary.url, why, recovered)
