"""Server-sent events as bytes (HTML Living Standard, 9.2): one message each.

A message is JSON without line breaks, a cursor has no character that an ``id`` must not
have. There is no ``event:`` line: without one every ``EventSource`` calls ``onmessage``.
"""

from collections.abc import Sequence

# Keeps proxies from giving up a quiet stream, and fails when the reader is gone.
COMMENT = b":\n\n"
_RETRY_MIN_MS, _RETRY_SPREAD_MS = 1_000, 4_000


def events(messages: Sequence[bytes], cursor: bytes | None = None) -> bytes:
    """Return the messages of one write; the last of them has the cursor as its ``id``.

    A reader that breaks off before the last one resumes from the ``id`` it had before.
    """
    made = [b"data: %b\n\n" % message for message in messages]
    if made and cursor:
        made[-1] = b"id: %b\n%b" % (cursor, made[-1])
    return b"".join(made)


def retry(*, draw: float) -> bytes:
    """Return the line that says how long a reader that was cut off waits before it comes back.

    It is the first line of a block. ``draw`` is uniform in [0, 1): those who were cut off
    together come back one by one.
    """
    wait_ms = _RETRY_MIN_MS + round(draw * _RETRY_SPREAD_MS)
    return b"retry: %d\n" % wait_ms


def remark(text: str) -> bytes:
    """Return a comment: for people, not for programs."""
    return b": %b\n\n" % " ".join(text.split()).encode()
