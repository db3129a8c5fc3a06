"""The bytes of the messages that only clients get which have said ``HELLO``.

Their shapes are those of ``schemas.extras``. Each goes to one client, or is made once a
batch: nothing here is hot.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from edge.core.freshness import NEVER, NO_OLD_PRICES, Newest, OldPrices
from schemas.extras import Feature, IgnoredWhy
from schemas.wire import Party

# Of what is named as ignored, so that an answer is not much longer than the request.
MAX_IGNORED_BYTES = 16_384
MAX_IGNORED_TEXT = 200

Ignored = tuple[str, IgnoredWhy]


def welcome(
    party: Party,
    features: Sequence[Feature],
    *,
    ignored: Sequence[str],
    log: str,
    heartbeat_ms: int,
    now_ms: int,
) -> bytes:
    """Return a ``WELCOME``; ``heartbeat_ms`` is in it with ``heartbeat`` alone."""
    message: dict[str, Any] = {
        "type": "WELCOME",
        "party": party,
        "features": features,
        "ignored": _within([_shown(each) for each in ignored]),
        "log": log,
    }
    if "heartbeat" in features:
        message["heartbeatMs"] = heartbeat_ms
    return orjson.dumps(message | {"timestamp": now_ms})


def subscribed(
    party: Party,
    accepted: Sequence[str] | None,
    ignored: Sequence[Ignored],
    *,
    recovered: bool | None,
    why: str | None,
    now_ms: int,
) -> bytes:
    """Return a ``SUBSCRIBED``; ``recovered`` is there if the request had a cursor."""
    message = _answer("SUBSCRIBED", party, accepted, ignored)
    if recovered is not None:
        message["recovered"] = recovered
    if why is not None:
        message["why"] = why
    return orjson.dumps(message | {"timestamp": now_ms})


def unsubscribed(
    party: Party,
    accepted: Sequence[str] | None,
    ignored: Sequence[Ignored],
    *,
    now_ms: int,
) -> bytes:
    """Return an ``UNSUBSCRIBED``."""
    message = _answer("UNSUBSCRIBED", party, accepted, ignored)
    return orjson.dumps(message | {"timestamp": now_ms})


def price_removed(spelling: str, *, now_ms: int) -> bytes:
    """Return a ``REMOVED`` of a price."""
    return orjson.dumps(
        {"type": "REMOVED", "contractId": spelling, "timestamp": now_ms}
    )


def balance_removed(user: str, contract: str, *, now_ms: int) -> bytes:
    """Return a ``REMOVED`` of a balance."""
    return orjson.dumps(
        {
            "type": "REMOVED",
            "userId": user,
            "contractId": contract,
            "timestamp": now_ms,
        }
    )


def heartbeat(
    watermarks: Iterable[int | None],
    *,
    newest: Newest = NEVER,
    old: OldPrices = NO_OLD_PRICES,
    stale: bool,
    now_ms: int,
) -> bytes:
    """Return a ``HEARTBEAT``."""
    return orjson.dumps(
        {
            "type": "HEARTBEAT",
            "watermarks": list(watermarks),
            "observed": newest._asdict(),
            "stale": stale,
            "oldPrices": {"count": old.total, "quotedAt": old.quoted_at},
            "timestamp": now_ms,
        }
    )


def shutdown(*, reconnect_in_ms: int, now_ms: int) -> bytes:
    """Return a ``SHUTDOWN``."""
    return orjson.dumps(
        {
            "type": "SHUTDOWN",
            "reconnectInMs": reconnect_in_ms,
            "timestamp": now_ms,
        }
    )


def _answer(
    kind: str, party: Party, accepted: Sequence[str] | None, ignored: Sequence[Ignored]
) -> dict[str, Any]:
    said = [{"id": _shown(each), "why": why} for each, why in ignored]
    named = _within(said)
    message: dict[str, Any] = {
        "type": kind,
        "party": party,
        "accepted": accepted,
        "ignored": named,
    }
    if len(named) < len(said):
        message["ignoredMore"] = len(said) - len(named)
    return message


def _shown(text: str) -> str:
    # A lone surrogate cannot be sent.
    return text[:MAX_IGNORED_TEXT].encode(errors="replace").decode()


def _within(entries: Sequence[Any]) -> list[Any]:
    """Return as many of the first entries as may be named."""
    size_bytes, kept = 0, []
    for entry in entries:
        size_bytes += len(orjson.dumps(entry)) + 1
        if size_bytes > MAX_IGNORED_BYTES:
            break
        kept.append(entry)
    return kept
