"""What one client holds, and whether all that it hears can be true. Pure: no socket."""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tests.churn.history import ABSENT, History, Key, positions_of


class Cover(NamedTuple):
    """What a client is subscribed to."""

    everything: bool = False
    names: frozenset[str] = frozenset()

    def has(self, key: Key) -> bool:
        return self.everything or key.owner in self.names


class Asked(NamedTuple):
    """Something said and perhaps not heard yet; ``floor`` are states that the edge knows
    the client has. ``forgets``: of what is outside the cover the edge tells nothing more,
    not even that it is gone.
    """

    mark: int
    cover: Cover
    repeats: bool = False
    floor: Mapping[Key, int] | None = None
    forgets: bool = False


@dataclass
class View:
    """One client's view over all its connections.

    ``order`` is the last state heard of each key, ever; ``held`` what the client has of
    what it is subscribed to. ``known`` is what it had at the last cursor.
    """

    history: History
    prices: bool
    flaws: list[str] = field(default_factory=list)
    order: dict[Key, int] = field(default_factory=dict)
    held: dict[Key, int] = field(default_factory=dict)
    cover: Cover = field(default_factory=Cover)
    asked: deque[Asked] = field(default_factory=deque)
    cursor: str | None = None
    known: dict[Key, int] = field(default_factory=dict)
    known_cover: Cover = field(default_factory=Cover)
    seq: int = 0
    heard: int = 0

    # ---- what the client does

    def connects(self, *, resumes: bool) -> None:
        """Begin anew, keeping what a cursor stands for."""
        if not resumes:
            self.cursor, self.known_cover = None, Cover()
        self.held = {k: s for k, s in self.held.items() if self.known_cover.has(k)}
        self.cover, self.seq = Cover(), 0
        self.asked.clear()

    def asks(self, asked: Asked) -> None:
        self.asked.append(asked)

    def drops(self, names: frozenset[str] | None) -> None:
        """Forget that the cursor stood for what is unsubscribed now."""
        known = self.known_cover
        left = frozenset() if names is None else known.names - names
        self.known_cover = Cover(known.everything and names is not None, left)

    @property
    def wanted(self) -> Cover:
        """What it has asked for last."""
        return self.asked[-1].cover if self.asked else self.cover

    # ---- what it hears

    def pong(self, mark: int) -> None:
        """All up to a mark was handled."""
        while self.asked and self.asked[0].mark <= mark:
            handled = self.asked.popleft()
            self.cover = handled.cover
            if handled.forgets:
                self._keep(self.cover)
        self._keep(self.cover, *(each.cover for each in self.asked))

    def _keep(self, *covers: Cover) -> None:
        self.held = {
            key: state
            for key, state in self.held.items()
            if any(each.has(key) for each in covers)
        }

    def take(self, message: dict[str, Any]) -> None:
        """Take in one message with values."""
        self.heard += 1
        self._count(message)
        for key, value in values(message):
            self._value(key, value)
        if "cursor" in message:
            self._at(message["cursor"])

    def _count(self, message: dict[str, Any]) -> None:
        if "seq" in message:
            self.seq += 1
            if message["seq"] != self.seq:
                self._wrong(f"numbered {message['seq']} instead of {self.seq}")
                self.seq = message["seq"]

    def _value(self, key: Key, value: int) -> None:
        covers = (self.cover, *(each.cover for each in self.asked))
        if not any(each.has(key) for each in covers):
            self._wrong(f"{key} was not asked for")
        before = self.order.get(key, -1)
        # What was said first is answered first: all up to its mark is of that answer.
        floor = self.asked[0].floor if self.asked else None
        repeats = value == ABSENT or (bool(self.asked) and self.asked[0].repeats)
        state = self.history.find(key, value, start=max(before, 0))
        if state is None or (state == before and not repeats):
            last = None if before < 0 else self.history.value_at(key, before)
            self._wrong(f"{key} is {value} after it was {last}")
            return
        if floor is not None and value and state <= floor.get(key, -1):
            self._wrong(f"{key} is {value} again, which the cursor had")
        self.order[key] = self.held[key] = state

    def _at(self, cursor: str) -> None:
        """Have everything of what is surely subscribed, says a cursor."""
        if self.asked:
            return
        positions = positions_of(cursor)
        for key in self._covered():
            self._is_at(key, self.history.reached(key, positions), "at a cursor")
        self.cursor, self.known = cursor, dict(self.held)
        self.known_cover = self.cover

    def _is_at(self, key: Key, due: int, when: str) -> None:
        """Compare what is held of a key with a state that must have been reached."""
        held, want = self.held.get(key, 0), self.history.value_at(key, due)
        has = self.history.value_at(key, held)
        if held < due and has != want:
            self._wrong(f"{key} is {has}, not {want}, {when}")

    def lacks(self, *, told: bool) -> list[str]:
        """Return what is not as in the table; who is not ``told`` keeps what is gone."""
        found = []
        for key in self._covered():
            has = self.history.value_at(key, self.held.get(key, 0))
            want = self.history.value_at(key, self.history.last(key))
            if has != want and (want != ABSENT or told):
                found.append(f"{key} is {has}, not {want}, at the end")
        return found

    def _covered(self) -> list[Key]:
        mine = [k for k in self.history.states if bool(k.token) is not self.prices]
        return [key for key in mine if self.cover.has(key)]

    def _wrong(self, said: str) -> None:
        self.flaws.append(said)


def values(message: dict[str, Any]) -> Iterator[tuple[Key, int]]:
    """Yield the values in a message."""
    match message["type"]:
        case "PRICE_BATCH" | "BALANCE_BATCH":
            for each in message.get("prices") or message.get("balances") or ():
                yield _value_of(each)
        case "PRICE_UPDATE" | "BALANCE_UPDATE":
            yield _value_of(message)
        case "REMOVED":
            yield _key(message), ABSENT
        case _:
            pass


def _value_of(update: dict[str, Any]) -> tuple[Key, int]:
    return _key(update), int(update["balance" if "userId" in update else "price"])


def _key(update: dict[str, Any]) -> Key:
    if "userId" in update:
        return Key(update["userId"], update["contractId"])
    return Key(update["contractId"])
