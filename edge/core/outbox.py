"""What a client is behind with: a set of keys, of which the newest values go out.

A snapshot is that all keys of the selection are to go out; a slow client is one that is
behind with what changed since it last took something. Either way nothing but keys waits,
so what waits is bounded by the table, and no value that was overtaken is ever sent.
"""

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

_Key = TypeVar("_Key")

# What is to be sent of a key beside its value.
ZEROS = 1  # zeros where there is no value
RESET = 2  # that what was sent before is void: the next version may be any


# Lists of zeros that wait before they are made one.
_MOST_ZEROS = 4


class Offer(Enum):
    """What became of a key that changed."""

    QUEUED = "queued"
    CONFLATED = "conflated"  # it waited already: a value will never be seen


@dataclass(slots=True)
class Sweep:
    """All owners of keys, sorted, of which those from ``at`` on are still to go out."""

    owners: Sequence[str]
    at: int = 0

    def covers(self, owner: str) -> bool:
        """Tell whether an owner is still to come."""
        found = bisect_left(self.owners, owner, lo=self.at)
        return found < len(self.owners) and self.owners[found] == owner

    @property
    def is_done(self) -> bool:
        """Whether nothing is left of it."""
        return self.at >= len(self.owners)


@dataclass(frozen=True, slots=True)
class Zeros:
    """Owners, the last of them first, who are to be told that they hold none of these keys."""

    owners: list[str]
    keys: frozenset[str]


@dataclass(frozen=True, slots=True)
class Due:
    """An owner whose keys are to go out, with their flags; ``only`` some of its keys."""

    owner: str
    flags: int
    only: frozenset[str] | None = None


class Outbox(Generic[_Key]):
    """The keys of one client that wait.

    An answer (what the client asked for last) goes before changes, so that a client that
    is for ever behind is still answered. Of each key the newest value is sent, once.
    """

    __slots__ = (
        "_batch_sent",
        "answer",
        "changes",
        "owes_batch",
        "owners",
        "sweep",
        "zeros",
    )

    def __init__(self) -> None:
        self.sweep: Sweep | None = None
        # Owners (users) whose keys are looked up when their turn has come.
        self.owners: OrderedDict[str, None] = OrderedDict()
        # Zeros of keys that nobody knew when their owners were asked for.
        self.zeros: list[Zeros] = []
        self.answer: OrderedDict[_Key, int] = OrderedDict()
        self.changes: OrderedDict[_Key, int] = OrderedDict()
        # The answer goes out as batches, an empty one if there is nothing in it.
        self.owes_batch = False
        self._batch_sent = False

    @property
    def is_answering(self) -> bool:
        """Whether anything of the answer is still to go out."""
        return bool(self.owes_batch or self._has_answer)

    @property
    def _has_answer(self) -> bool:
        return bool(self.sweep or self.owners or self.answer)

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits."""
        return not (self.is_answering or self.changes or self.zeros)

    def offer(self, key: _Key, owner: str, flags: int) -> Offer:
        """Take a key that changed."""
        for waiting in (self.answer, self.changes):
            if key in waiting:
                waiting[key] |= flags
                return Offer.CONFLATED
        if not flags & RESET and self._will_come(owner):
            return Offer.CONFLATED
        self.changes[key] = flags
        return Offer.QUEUED

    def ask(self, keys: Iterable[tuple[_Key, int]]) -> None:
        """Have keys go out as an answer, in this order."""
        for key, flags in keys:
            self.answer[key] = flags | self.changes.pop(key, 0)

    def ask_owners(self, owners: Iterable[str]) -> None:
        """Have all keys of these owners go out, with zeros for those they lack."""
        asked = dict.fromkeys(owners)
        self.owners.update(asked)
        self._keep_zeros(lambda owner: owner not in asked)

    def ask_all(self, owners: Sequence[str]) -> None:
        """Have everything go out: all keys of these owners, who are sorted."""
        self.sweep = Sweep(owners) if owners else None
        # What is void must be said by itself.
        kept = ((key, flags) for key, flags in self.changes.items() if flags & RESET)
        self.changes = OrderedDict(kept)

    def owe_zeros(self, owners: Iterable[str], keys: frozenset[str]) -> None:
        """Have zeros of these keys go out for each owner who is not still to be looked up.

        If that comes again and again before they have gone out, what waits becomes one list,
        and some are told twice.
        """
        due = set(owners) - self.owners.keys()
        if len(self.zeros) == _MOST_ZEROS:
            due.update(*(each.owners for each in self.zeros))
            keys = keys.union(*(each.keys for each in self.zeros))
            self.zeros = []
        if due:
            self.zeros.append(Zeros(sorted(due, reverse=True), keys))

    def owe_batch(self) -> None:
        """Have the answer go out as batches."""
        self.owes_batch, self._batch_sent = True, False

    def settle_batch(self, *, sent: bool) -> bool:
        """Note whether a batch goes out now; tell whether an empty one must."""
        self._batch_sent |= sent
        if self._has_answer or not self.owes_batch:
            return False
        self.owes_batch = False
        return not self._batch_sent

    def keep(self, wanted: Callable[[_Key], bool]) -> None:
        """Drop what is not wanted any more."""
        self.changes, self.answer = (
            OrderedDict((key, flags) for key, flags in kept.items() if wanted(key))
            for kept in (self.changes, self.answer)
        )

    def keep_zeros(self, named: Container[str]) -> None:
        """Drop the zeros of owners who are not named any more."""
        self._keep_zeros(lambda owner: owner in named)

    def next_owner(self) -> Due | None:
        """Return the owner whose keys come next."""
        if self.owners:
            return Due(self.owners.popitem(last=False)[0], ZEROS)
        if self.sweep is not None:
            owner = self.sweep.owners[self.sweep.at]
            self.sweep.at += 1
            if self.sweep.is_done:
                self.sweep = None
            return Due(owner, 0)
        if not self.zeros:
            return None
        first = self.zeros[0]
        owner = first.owners.pop()
        if not first.owners:
            del self.zeros[0]
        return Due(owner, ZEROS, first.keys)

    def pop(self) -> tuple[_Key, int, bool] | None:
        """Take the key that goes out next, its flags, and whether it is of the answer."""
        waiting = self.answer or self.changes
        if not waiting:
            return None
        key, flags = waiting.popitem(last=False)
        return key, flags, waiting is self.answer

    def put_back(self, key: _Key, flags: int, *, answer: bool) -> None:
        """Have a key go out first that there was no room for."""
        waiting = self.answer if answer else self.changes
        waiting[key] = flags
        waiting.move_to_end(key, last=False)

    def _keep_zeros(self, wanted: Callable[[str], bool]) -> None:
        kept = (Zeros([o for o in z.owners if wanted(o)], z.keys) for z in self.zeros)
        self.zeros = [each for each in kept if each.owners]

    def _will_come(self, owner: str) -> bool:
        return owner in self.owners or (
            self.sweep is not None and self.sweep.covers(owner)
        )
