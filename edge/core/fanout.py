"""From what changed to the bytes that go out: made once for all who want the same."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Generic, NamedTuple, TypeAlias, TypeVar

from edge.core.feed import Feed, Piece, said
from edge.core.forms import Form, numbered, sealed
from edge.core.members import ClientId, Group, Member
from edge.core.outbox import RESET, Offer, Outbox

_Key = TypeVar("_Key")
Flagged = Sequence[tuple[_Key, int]]
_Asked: TypeAlias = tuple[Form, tuple[_Key, ...]]


class Write(NamedTuple):
    """Bytes for some clients, one write each.

    The clients are those subscribed when the bytes were built: who subscribes later gets
    newer values with the answer. ``more``: they are behind with the rest, to be pulled as
    their sockets drain.
    """

    clients: tuple[ClientId, ...]
    frames: bytes
    more: bool = False


class FanOut(Generic[_Key]):
    """One batch of changes on its way to the clients of one party."""

    def __init__(
        self,
        feed: Feed[_Key],
        *,
        cursor: Callable[[], bytes | None],
        limit_bytes: int,
        now_ms: int,
    ) -> None:
        self._feed, self._cursor = feed, cursor
        self._limit_bytes, self._now_ms = limit_bytes, now_ms
        self._said: dict[tuple[Form, _Key], tuple[bytes, bytes]] = {}
        # How many of the flagged keys it holds, and the messages.
        self._made: dict[_Asked[_Key], tuple[int, list[bytes]]] = {}
        self.offers: Counter[Offer] = Counter()

    def writes(self, flagged: Flagged[_Key]) -> Iterator[Write]:
        """Yield what goes to whom; what goes to nobody now waits in outboxes."""
        alike: dict[_Asked[_Key], tuple[Flagged[_Key], list[Group]]] = {}
        for group, keys in self._feed.groups.concerned(flagged, self._feed.named):
            for outbox in group.behind.values():
                self._offer(outbox, group.form, keys)
            if group.live:
                asked = group.form, tuple([key for key, _ in keys])
                alike.setdefault(asked, (keys, []))[1].append(group)
        for asked, (keys, groups) in alike.items():
            yield from self._to_live(asked, keys, groups)

    def _offer(self, outbox: Outbox[_Key], form: Form, keys: Flagged[_Key]) -> None:
        # What is void is said to those alone who keep versions.
        kept = RESET if form.resumes else 0
        for key, flags in keys:
            offer = outbox.offer(key, self._feed.owner(key), flags & kept)
            self.offers[offer] += 1

    def _to_live(
        self, asked: _Asked[_Key], keys: Flagged[_Key], groups: Sequence[Group]
    ) -> Iterator[Write]:
        """Yield what goes to groups of one form that want the same of this batch."""
        form, wanted = asked
        taken, messages = self._messages((form.shared, wanted), keys)
        rest = keys[taken:]
        at = self._cursor() if form.resumes and not rest else None
        if form.seq:
            for member in _live(groups):
                counted = numbered(messages, after=member.seq)
                member.seq += len(messages)
                if messages:
                    yield Write((member.id,), sealed(counted, form, at), bool(rest))
        elif messages:
            clients = tuple(chain.from_iterable(group.clients for group in groups))
            yield Write(clients, sealed(messages, form, at), bool(rest))
        if rest:
            self._hold(_live(groups), rest)

    def _hold(self, members: Sequence[Member], rest: Flagged[_Key]) -> None:
        """Let clients be behind with what one write has no room for."""
        for member in members:
            outbox: Outbox[_Key] = Outbox()
            member.outbox = outbox
            self._feed.groups.place(member)
            self._offer(outbox, member.form, rest)

    def _messages(
        self, asked: _Asked[_Key], keys: Flagged[_Key]
    ) -> tuple[int, list[bytes]]:
        found = self._made.get(asked)
        if found is None:
            form, _ = asked
            piece, taken = Piece(limit_bytes=self._limit_bytes), 0
            for key, flags in keys:
                if not piece.add(*self._said_of(key, flags, form)):
                    break
                taken += 1
            updates = self._feed.messages(
                piece.updates, form, as_batch=False, now_ms=self._now_ms
            )
            found = self._made[asked] = taken, [*piece.voids, *updates]
        return found

    def _said_of(self, key: _Key, flags: int, form: Form) -> tuple[bytes, bytes]:
        made = self._said.get((form, key))
        if made is None:
            made = said(self._feed, key, flags, form, now_ms=self._now_ms)
            self._said[form, key] = made
        return made


def _live(groups: Sequence[Group]) -> list[Member]:
    return [member for group in groups for member in group.live.values()]
