"""One connection, from ``HELLO`` to its end."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Generic

from stacks_feed_client.core import writing
from stacks_feed_client.core.ids import ALL, NOTHING, normal, selects
from stacks_feed_client.core.liveness import Liveness
from stacks_feed_client.core.party import Party
from stacks_feed_client.core.reading import (
    MAX_LINE,
    Message,
    count,
    cursor,
    line,
    message,
    observed_ages,
    stale_because,
    text,
)
from stacks_feed_client.core.requests import Request, Requests
from stacks_feed_client.core.standing import Standing
from stacks_feed_client.core.status import Counts, Observed, State
from stacks_feed_client.core.values import K, Update, V
from stacks_feed_client.core.view import View

# The longest that a server which restarts may ask a client to stay away.
MAX_AWAY_S = 300.0
# Of the ids that servers would not take the newest are kept; the oldest is forgotten.
MAX_IGNORED = 1_000


@dataclass(slots=True)
class Effects(Generic[K, V]):
    """What is to be done: texts to send, news to tell, and why to leave, if so.

    ``error`` is an exception that nobody expected, for a message could not be handled: the
    connection is to be left, and the exception shown to whoever can correct it.
    """

    send: list[str] = field(default_factory=list)
    updates: list[Update[K, V]] = field(default_factory=list)
    leave: str | None = None
    error: Exception | None = None


@dataclass(slots=True)
class Books(Generic[K, V]):
    """What outlives connections; each of them writes into it."""

    party: Party[K, V]
    view: View[K, V]
    numbers: Iterator[int]
    standing: Standing = field(default_factory=Standing)
    counts: Counts = field(default_factory=Counts)
    observed: Observed = field(default_factory=Observed)
    ignored: dict[str, str] = field(default_factory=dict)


class Conversation(Generic[K, V]):
    """Hears a server and knows what to say.

    ``features`` are those granted, ``None`` before that is known. ``back_at_s``: the server
    will close, and is to be come back to, or another, then. ``recovered`` is ``None``
    where there was nothing to go on from. ``last_error`` is what the server complained of
    last, ``last_error_code`` the same for programs. ``stale_because`` says why newer values
    may exist than those it sends, ``None`` if it does not say that they may. ``asked`` are
    the ids that the server was asked for.
    """

    def __init__(self, books: Books[K, V], *, now_s: float) -> None:
        self._books, self._standing = books, books.standing
        self._liveness = Liveness(now_s=now_s)
        self._greeting = next(books.numbers)
        self._requests = Requests(books.standing, acks=False)
        self.asked = NOTHING
        self._seq = 0
        self._had = books.standing.complete
        self._rebuilt = self._is_filled = False
        self.stale_because: str | None = None
        self.features: frozenset[str] | None = None
        self.back_at_s: float | None = None
        self.last_error: str | None = None
        self.last_error_code: str | None = None

    @property
    def state(self) -> State:
        """How the values stand."""
        if not self._is_filled:
            return State.FILLING
        return State.LIVE if self.stale_because is None else State.STALE

    @property
    def recovered(self) -> bool | None:
        """Whether nothing was missed since the last connection."""
        return not self._rebuilt if self._had or self._rebuilt else None

    def open(self) -> Effects[K, V]:
        """Begin: a server that knows no ``HELLO`` answers an error, or the ``PING`` alone."""
        return Effects(send=[writing.hello(), writing.ping(self._greeting)])

    def received(self, said: str | bytes, *, now_s: float) -> Effects[K, V]:
        """Take in one message.

        A bug of ours that a message brings out costs this connection, not the feed. What
        was made of the message before is told all the same, since the view has it.
        """
        effects: Effects[K, V] = Effects()
        self._books.counts.messages += 1
        try:
            self._receive(said, effects, now_s)
        except Exception as error:  # noqa: BLE001 - this is the guard
            self._books.counts.unusable += 1
            effects.error = error
            effects.leave = f"a message cannot be handled: {type(error).__name__}"
        return effects

    def _receive(self, said: str | bytes, effects: Effects[K, V], now_s: float) -> None:
        counts, read = self._books.counts, message(said)
        if not read:
            counts.unreadable += 1
        elif self.features is None:
            self._greet(read)
        elif self._is_next(read):
            self._hear(read, effects, now_s)
            place = cursor(read)
            if place is not None:
                self._requests.take(place)
        else:
            counts.gaps += 1
            effects.leave = "a message is missing"
        # What it says unasked does not show that it hears us: the greeting does.
        if self.features is not None:
            self._liveness.heard(now_s=now_s)

    def tick(self, *, now_s: float) -> Effects[K, V]:
        """Look whether the server is alive; to be called every second."""
        if self._liveness.is_dead(now_s=now_s):
            why = f"silent for more than {self._liveness.patience_s:g} s"
            self.stale_because = why
            return Effects(leave=why)
        if self.back_at_s is not None and now_s >= self.back_at_s:
            return Effects(leave="the server restarts")
        if self._liveness.is_due(now_s=now_s):
            return Effects(send=[writing.ping(next(self._books.numbers))])
        return Effects()

    def sync(self) -> Effects[K, V]:
        """Ask for what is wanted and was not asked for, and the other way round."""
        effects: Effects[K, V] = Effects()
        wanted = self._standing.wanted
        if self.features is None or wanted is self.asked:
            return effects
        dropped = self.asked - wanted
        if ALL in dropped:
            # One id cannot be taken out of all: everything is, and the rest asked for.
            dropped, pieces = self.asked, [frozenset({ALL})]
        else:
            pieces = list(writing.pieces(dropped))
        ids_field = self._books.party.ids_field
        effects.send += [writing.unsubscribe(ids_field, each) for each in pieces]
        self._requests.drop(dropped)
        self._ask(wanted - (self.asked - dropped), effects)
        self.asked = wanted
        self._fill()
        return effects

    # ---- what the server says

    def _greet(self, said: Message) -> None:
        """Learn what the server can do; values that come before are left alone.

        They are asked for again, and then come with versions if the server has them.
        """
        match said.get("type"):
            case "WELCOME":
                granted = said.get("features")
                named = granted if isinstance(granted, list) else []
                self.features = frozenset(f for f in named if f in writing.FEATURES)
            case "ERROR":
                self.features = frozenset()
            case "PONG" if said.get("timestamp") == self._greeting:
                self.features = frozenset()
            case _:
                return
        self._begin(count(said.get("heartbeatMs")), self.features)

    def _begin(self, heartbeat_ms: int | None, features: frozenset[str]) -> None:
        if heartbeat_ms and "heartbeat" in features:
            self._liveness.promised(heartbeat_ms / 1_000)
        if "resume" not in features:
            # Values without versions follow: no cursor can be gone on from after them.
            self._standing.void(self._standing.covered)
        self._requests = Requests(self._standing, acks="ack" in features)
        self._is_filled = not self._standing.wanted

    def _is_next(self, said: Message) -> bool:
        if self.features is None or "seq" not in self.features:
            return True
        self._seq += 1
        return said.get("seq") == self._seq

    def _hear(self, said: Message, effects: Effects[K, V], now_s: float) -> None:
        kind = said.get("type")
        if kind in self._books.party.types:
            self._take(said, effects)
            return
        match kind:
            case "REMOVED":
                self._remove(said, effects)
            case "SUBSCRIBED":
                self._subscribed(said)
            case "PONG":
                self._whole(count(said.get("timestamp")), effects)
            case "HEARTBEAT":
                is_stale = said.get("stale") is True
                self.stale_because = stale_because(said) if is_stale else None
                self._books.observed = observed_ages(said)
            case "SHUTDOWN":
                wait_s = (count(said.get("reconnectInMs")) or 0) / 1_000
                self.back_at_s = now_s + min(wait_s, MAX_AWAY_S)
            case "ERROR":
                self.last_error = line(text(said.get("message")) or "") or None
                self.last_error_code = text(said.get("code"))
            case _:
                pass  # of a later server

    def _take(self, said: Message, effects: Effects[K, V]) -> None:
        party, view, counts = self._books.party, self._books.view, self._books.counts
        for value in party.read(said):
            if value is None:
                counts.unreadable += 1
            elif selects(self._standing.wanted, party.owner(party.key(value))):
                update = view.take(value)
                if update is not None:
                    effects.updates.append(update)
        counts.repeats = view.repeats

    def _remove(self, said: Message, effects: Effects[K, V]) -> None:
        key = self._books.party.removed(said)
        update = None if key is None else self._books.view.remove(key)
        if update is not None:
            effects.updates.append(update)

    def _subscribed(self, said: Message) -> None:
        resumed = said.get("recovered") is True
        request = self._requests.subscribed(resumed=resumed)
        if request is not None and not resumed:
            self._rebuild(request)
        ignored = said.get("ignored")
        for each in ignored if isinstance(ignored, list) else []:
            name = text(each.get("id")) if isinstance(each, dict) else None
            if name is not None:
                self._ignored(name, text(each.get("why")) or "ignored")

    def _ignored(self, name: str, why: str) -> None:
        ignored, key = self._books.ignored, normal(name[:MAX_LINE])
        ignored.pop(key, None)
        if len(ignored) >= MAX_IGNORED:
            del ignored[next(iter(ignored))]
        ignored[key] = line(why)

    def _whole(self, number: int | None, effects: Effects[K, V]) -> None:
        if number is None:
            return
        begun = self._requests.begun(number)
        if begun is not None:
            self._rebuild(begun)
        for request in self._requests.whole(number):
            if request.is_refused:
                self._standing.void(request.members)
                self.asked -= request.members
            else:
                self._standing.complete |= request.members & self._standing.wanted
                effects.updates += self._books.view.settle(request.number)
        self._fill()

    def _fill(self) -> None:
        """Note whether all that is wanted was asked for and answered."""
        if self._requests.is_empty and self.asked == self._standing.wanted:
            self._is_filled = True

    # ---- what is asked for

    def _ask(self, members: frozenset[str], effects: Effects[K, V]) -> None:
        """Ask for values: of ids that a cursor covers for what changed since."""
        covered = members & self._standing.covered
        for piece in writing.pieces(covered):
            self._subscribe(piece, self._standing.cursor, effects)
        for piece in writing.pieces(members - covered):
            self._subscribe(piece, None, effects)

    def _subscribe(
        self, piece: frozenset[str], since: str | None, effects: Effects[K, V]
    ) -> None:
        numbers, begins = self._books.numbers, None
        if not self._requests.is_announced(since):
            begins = next(numbers)
            effects.send.append(writing.ping(begins))
        request = Request(next(numbers), piece, since, begins)
        self._requests.add(request)
        effects.send += [
            writing.subscribe(self._books.party.ids_field, piece, since),
            writing.ping(request.number),
        ]

    def _rebuild(self, request: Request) -> None:
        """Expect all values anew from here on, and believe none that is held.

        Not before: what is still on its way from an earlier subscription is older than
        what this answer leaves out.
        """
        members, view = request.members, self._books.view
        self._standing.void(members)
        named = self._standing.wanted
        held = view.doubt(members, request=request.number, named=named)
        # Of ids that were never answered, and of which nothing is held, nothing is.
        self._rebuilt = self._rebuilt or held or bool(self._had & members)
