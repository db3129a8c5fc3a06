"""The texts that a client sends."""

import json
from collections.abc import Iterable, Iterator

from stacks_feed_client.core.ids import ALL

FEATURES = ("ack", "seq", "resume", "heartbeat", "exact", "shutdown")
# Servers take 500 ids and 64 KiB in one message, cursor included.
_MAX_IDS = 400
_MAX_IDS_BYTES = 40_000

MANUAL_UPDATE = '{"type":"MANUAL_UPDATE"}'


def hello() -> str:
    """Ask for all that a server can do beyond the base protocol."""
    return _text({"type": "HELLO", "features": FEATURES})


def ping(number: int) -> str:
    """Ask for a ``PONG`` with a number."""
    return _text({"type": "PING", "timestamp": number})


def subscribe(ids_field: str, members: Iterable[str], since: str | None) -> str:
    """Subscribe to a piece of a selection, from a cursor on if there is one."""
    message: dict[str, object] = {"type": "SUBSCRIBE", ids_field: _ids(members)}
    if since is not None:
        message["since"] = since
    return _text(message)


def unsubscribe(ids_field: str, members: Iterable[str]) -> str:
    """Unsubscribe from a piece of a selection."""
    return _text({"type": "UNSUBSCRIBE", ids_field: _ids(members)})


def pieces(members: frozenset[str]) -> Iterator[frozenset[str]]:
    """Split a selection into what fits into one message each; all stands alone."""
    if ALL in members:
        yield frozenset({ALL})
    piece: list[str] = []
    size_bytes = 0
    for each in sorted(members - {ALL}):
        each_bytes = len(_text(each)) + 1
        full = len(piece) == _MAX_IDS or size_bytes + each_bytes > _MAX_IDS_BYTES
        if piece and full:
            yield frozenset(piece)
            piece, size_bytes = [], 0
        piece.append(each)
        size_bytes += each_bytes
    if piece:
        yield frozenset(piece)


def _ids(members: Iterable[str]) -> list[str]:
    """Return the list of ids; that of all is empty."""
    return sorted(each for each in members if each != ALL)


def _text(message: object) -> str:
    return json.dumps(message, separators=(",", ":"))
