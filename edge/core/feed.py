"""What the hub needs of a party: how its keys are found, and how they are put in words."""

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, TypeVar

from edge.core.changes import Changed
from edge.core.cursor import cursor_of
from edge.core.forms import Form
from edge.core.frames import MAX_BATCH_BYTES
from edge.core.groups import Groups
from edge.core.outbox import RESET, Due, Outbox
from edge.core.places import Positions
from edge.core.table import Table
from schemas.ids import Network

_Key = TypeVar("_Key")
# Of a message or of a frame, beside the values in it: what its form adds, and its head.
_AROUND_BYTES = 512
_FRAME_BYTES = 4


class Feed(Protocol[_Key]):
    """One party. A key comes with flags that say what is to be sent beside its value."""

    groups: Groups

    def accepted(self, ids: Iterable[str], network: Network) -> list[str]:
        """Return the valid ones of ids as written, in normal form, each once, as asked."""
        ...

    def changed(self, changed: Changed) -> list[tuple[_Key, int]]:
        """Return the keys of this party that changed. To be called for every change."""
        ...

    def named(self, key: _Key) -> str:
        """Return the id by which a subscription names a key."""
        ...

    def owner(self, key: _Key) -> str:
        """Return the id under which a key is swept."""
        ...

    def update(self, key: _Key, flags: int, form: Form, *, now_ms: int) -> bytes:
        """Return the message that has the newest value; empty where there is none."""
        ...

    def removed(self, key: _Key, *, now_ms: int) -> bytes:
        """Return the message that voids what was said of a key before."""
        ...

    def messages(
        self, updates: Sequence[bytes], form: Form, *, as_batch: bool, now_ms: int
    ) -> list[bytes]:
        """Return updates as they go out: those of changes, or of an answer ``as_batch``."""
        ...

    def ask(self, outbox: Outbox[_Key], ids: Sequence[str] | None) -> None:
        """Have the current values of these ids (``None`` is all) go out as an answer."""
        ...

    def take(
        self, outbox: Outbox[_Key], form: Form, *, limit_bytes: int, now_ms: int
    ) -> list[bytes]:
        """Take one write's worth out of what waits; return it as messages."""
        ...

    def since(
        self, positions: Positions, ids: Sequence[str] | None
    ) -> list[tuple[_Key, int]]:
        """Return every key of a selection that may have changed since ``positions``."""
        ...


def batch_bytes(form: Form, table: Table) -> int:
    """Return how long a batch may be before a cursor is put into it."""
    cursor = cursor_of(table) if form.resume else None
    return MAX_BATCH_BYTES - (len(cursor.text()) if cursor else 0)


def fits_a_batch(update: bytes, *, limit_bytes: int) -> bool:
    """Tell whether a batch of ``limit_bytes`` has room for an update."""
    return len(update) <= limit_bytes - _AROUND_BYTES


def batched(
    updates: Iterable[bytes],
    batch: Callable[[Sequence[bytes]], bytes],
    *,
    limit_bytes: int,
) -> list[bytes]:
    """Return updates in their order in batches of at most ``limit_bytes``.

    One that no batch has room for goes out by itself, as it is.
    """
    messages: list[bytes] = []
    waiting = Piece(limit_bytes=limit_bytes)
    for update in updates:
        fits = fits_a_batch(update, limit_bytes=limit_bytes)
        if fits and waiting.add(b"", update):
            continue
        if waiting.updates:
            messages.append(batch(waiting.updates))
        waiting = Piece(limit_bytes=limit_bytes)
        if fits:
            waiting.add(b"", update)
        else:
            messages.append(update)
    if waiting.updates:
        messages.append(batch(waiting.updates))
    return messages


class Piece:
    """What one write holds: updates, and before them the keys whose values are void."""

    __slots__ = ("_limit_bytes", "_size_bytes", "updates", "voids")

    def __init__(self, *, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes - _AROUND_BYTES
        self._size_bytes = 0
        self.voids: list[bytes] = []
        self.updates: list[bytes] = []

    def add(self, void: bytes, update: bytes) -> bool:
        """Take what is to be said of a key; either part may be empty.

        ``False``: there is no room for it. The first always has room.
        """
        size_bytes = len(void) + len(update) + _FRAME_BYTES
        if self._size_bytes and self._size_bytes + size_bytes > self._limit_bytes:
            return False
        self._size_bytes += size_bytes
        if void:
            self.voids.append(void)
        if update:
            self.updates.append(update)
        return True


def said(
    feed: Feed[_Key], key: _Key, flags: int, form: Form, *, now_ms: int
) -> tuple[bytes, bytes]:
    """Return the message that voids a key, if that is to be said, and its update.

    Only clients that keep versions are told what is void.
    """
    void = form.resumes and flags & RESET
    return (
        feed.removed(key, now_ms=now_ms) if void else b"",
        feed.update(key, flags, form, now_ms=now_ms),
    )


def fill(
    piece: Piece,
    feed: Feed[_Key],
    outbox: Outbox[_Key],
    form: Form,
    opened: Callable[[Due], Iterable[tuple[_Key, int]]] | None = None,
    *,
    now_ms: int,
) -> None:
    """Move what waits into a piece until it is full or nothing is left.

    ``opened`` finds the keys of an owner when its turn has come; without it only what
    waits by name is moved.
    """
    while True:
        if opened and not outbox.answer and (due := outbox.next_owner()):
            outbox.ask(opened(due))
            continue
        popped = outbox.pop()
        if popped is None:
            return
        key, flags, answer = popped
        if not piece.add(*said(feed, key, flags, form, now_ms=now_ms)):
            outbox.put_back(key, flags, answer=answer)
            return
