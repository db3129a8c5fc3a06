"""A client as the hub knows it, and clients that want the same in the same form."""

from dataclasses import dataclass, field
from typing import Any, NewType

from edge.core.forms import BASE, Form
from edge.core.outbox import Outbox
from schemas.extras import Feature
from schemas.wire import Party

ClientId = NewType("ClientId", int)

_NOTHING: frozenset[str] = frozenset()


@dataclass(slots=True, eq=False)
class Group:
    """Clients of one form with equal subscriptions; ``ids`` ``None`` is all.

    Kept between batches, so that a batch touches groups and not their clients. Those
    ``behind`` get nothing new until what waits for them has gone out.
    """

    form: Form
    ids: frozenset[str] | None
    live: "dict[ClientId, Member]" = field(default_factory=dict)
    behind: dict[ClientId, Outbox[Any]] = field(default_factory=dict)
    _clients: tuple[ClientId, ...] | None = None

    def __len__(self) -> int:
        """Return the number of clients."""
        return len(self.live) + len(self.behind)

    @property
    def clients(self) -> tuple[ClientId, ...]:
        """Those that get what is new at once, as they are now."""
        if self._clients is None:
            self._clients = tuple(self.live)
        return self._clients

    def take(self, member: "Member") -> None:
        """Put a client where its outbox says."""
        self.drop(member)
        if member.outbox is None:
            self.live[member.id] = member
        else:
            self.behind[member.id] = member.outbox
        member.group = self

    def drop(self, member: "Member") -> None:
        """Let a client go; harmless if it is not here."""
        self.live.pop(member.id, None)
        self.behind.pop(member.id, None)
        self._clients = member.group = None


@dataclass(slots=True, eq=False)
class Member:
    """One client: what it asked for, in which form, and what it is behind with.

    Without an outbox it is behind with nothing. ``seq`` is the number of its last message.
    Who ``may_refresh`` may ask for a reading. ``made_bytes`` is how long all messages are
    that were made for it alone, as they are before they are compressed.
    """

    id: ClientId
    party: Party
    features: frozenset[Feature] = frozenset()
    form: Form = BASE
    has_all: bool = False
    named: frozenset[str] = _NOTHING
    outbox: Outbox[Any] | None = None
    seq: int = 0
    made_bytes: int = 0
    may_refresh: bool = True
    group: Group | None = None

    @property
    def selection(self) -> frozenset[str] | None:
        """The ids whose changes it gets; ``None`` is all."""
        return None if self.has_all else self.named
