"""What goes out to one client: in its form, with its number, and with a cursor when due."""

from collections.abc import Iterator, Sequence
from typing import Any

from edge.core.cursor import cursor_of
from edge.core.feed import Feed
from edge.core.forms import numbered, sealed
from edge.core.members import Member
from edge.core.rules import Rules
from edge.core.table import Table
from schemas.wire import Party


class Outgoing:
    """Puts messages into frames for a client and pulls out what waits for it."""

    def __init__(
        self, table: Table, feeds: dict[Party, Feed[Any]], rules: Rules
    ) -> None:
        self._table, self._feeds, self._rules = table, feeds, rules

    def cursor(self) -> bytes | None:
        """Return the cursor of who has everything up to now."""
        cursor = cursor_of(self._table)
        return cursor.text().encode() if cursor else None

    def frames(
        self, member: Member, messages: Sequence[bytes], cursor: bytes | None = None
    ) -> bytes:
        """Return messages as frames for one client, numbered if it counts."""
        if member.form.seq:
            messages = numbered(messages, after=member.seq)
            member.seq += len(messages)
        member.made_bytes += sum(map(len, messages))
        return sealed(messages, member.form, cursor)

    def pull(self, member: Member, *, now_ms: int, head: Sequence[bytes] = ()) -> bytes:
        """Return ``head`` and one write's worth of what waits, perhaps nothing.

        The client is behind no more when nothing is left. Only then does it get a cursor:
        what a cursor covers has all been given.
        """
        messages, outbox = list(head), member.outbox
        if outbox is not None:
            feed = self._feeds[member.party]
            room_bytes = self._rules.piece_bytes - sum(map(len, messages))
            messages += feed.take(
                outbox, member.form, limit_bytes=room_bytes, now_ms=now_ms
            )
            if outbox.is_empty:
                member.outbox = None
                feed.groups.place(member)
        given = member.form.resumes and member.outbox is None
        return self.frames(member, messages, self.cursor() if given else None)

    def answer(
        self, member: Member, *, now_ms: int, head: Sequence[bytes] = ()
    ) -> Iterator[bytes]:
        """Yield ``head`` and the answer that waits in the outbox, a write's worth each."""
        frames = self.pull(member, now_ms=now_ms, head=head)
        if frames:
            yield frames
        while member.outbox is not None and member.outbox.is_answering:
            frames = self.pull(member, now_ms=now_ms)
            if frames:
                yield frames
