"""The form in which a client gets its messages: what its features add to each of them."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from edge.core.events import events
from edge.core.frames import packed_frame, text_frame


class Form(NamedTuple):
    """What changes bytes: clients of one form and one subscription share theirs.

    Of the features only ``seq`` makes the bytes of each client its own. With ``events``
    the messages are server-sent events, worded as those of the base protocol; ``packed``
    ones are compressed where they are long.
    """

    exact: bool = False
    resume: bool = False
    seq: bool = False
    events: bool = False
    packed: bool = False

    @property
    def shared(self) -> "Form":
        """The form without what is spliced in for each client."""
        return self._replace(seq=False) if self.seq else self

    @property
    def wording(self) -> "Form":
        """What of the form changes an update itself."""
        is_that = not (self.seq or self.events or self.packed)
        return self if is_that else Form(exact=self.exact, resume=self.resume)

    @property
    def resumes(self) -> bool:
        """Whether a client gets cursors, and is told what is void."""
        return self.resume or self.events


BASE = Form()
EVENTS = Form(events=True)


def with_field(message: bytes, field: bytes) -> bytes:
    """Return a JSON object with one field more at its end; ``field`` is ``"name":value``."""
    return message[:-1] + b"," + field + b"}"


def with_cursor(messages: Sequence[bytes], cursor: bytes) -> list[bytes]:
    """Return the messages of one write, the last of them with the cursor."""
    *before, last = messages
    return [*before, with_field(last, b'"cursor":"%b"' % cursor)]


def numbered(messages: Sequence[bytes], *, after: int) -> list[bytes]:
    """Return the messages with ``seq``, counting on from ``after``."""
    return [
        b'{"seq":%d,%b' % (number, message[1:])
        for number, message in enumerate(messages, start=after + 1)
    ]


def framed(messages: Iterable[bytes], *, packed: bool = False) -> bytes:
    """Return whole frames, joined for one write."""
    return b"".join(map(packed_frame if packed else text_frame, messages))


def sealed(messages: Sequence[bytes], form: Form, cursor: bytes | None) -> bytes:
    """Return one write: the messages, the last of them with the cursor if there is one."""
    if form.events:
        return events(messages, cursor)
    if messages and cursor:
        messages = with_cursor(messages, cursor)
    return framed(messages, packed=form.packed)
