"""What a client said, as a value; nothing a client sends raises."""

import json
from dataclasses import dataclass
from typing import Any, NamedTuple, NoReturn, TypeAlias

from edge.core.frames import MAX_MESSAGE_BYTES
from edge.core.messages import BAD_FORMAT, UNKNOWN_TYPE, pong
from schemas.extras import FEATURES, ErrorCode, Feature
from schemas.wire import Party


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Ids as written; ``None`` means all.

    ``others`` are what stood among them and is no text, as JSON. ``since`` is the cursor
    that the client has, whatever it sent as one.
    """

    ids: tuple[str, ...] | None
    others: tuple[str, ...] = ()
    since: str | None = None


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """Ids as written; ``None`` means all. ``others`` are no texts, as JSON."""

    ids: tuple[str, ...] | None
    others: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Hello:
    """The features asked for: those there are, in their order, and the others."""

    features: tuple[Feature, ...]
    unknown: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ping:
    """The ``timestamp`` as JSON text; ``None`` without one."""

    timestamp: bytes | None


@dataclass(frozen=True, slots=True)
class ManualUpdate:
    """Asks for a reading now."""


@dataclass(frozen=True, slots=True)
class Refused:
    """What cannot be served, and what the client is told."""

    message: str
    code: ErrorCode


Said: TypeAlias = Subscribe | Unsubscribe | Hello | Ping | ManualUpdate | Refused

_BAD = Refused(BAD_FORMAT, "bad-format")
UNKNOWN = Refused(UNKNOWN_TYPE, "unknown-type")
TOO_MANY_MESSAGES = Refused("Too many messages", "rate")
TOO_MANY_BYTES = Refused("Too many bytes asked for from your address", "rate")
TOO_MANY_ERRORS = Refused("Too many errors", "too-many-errors")
NO_REFRESH = Refused("Not allowed to ask for an update", "refused")

_ABSENT = object()


def parse(text: str | bytes, party: Party) -> Said:
    """Read one message of a client of ``party``; a binary frame is none."""
    if isinstance(text, bytes):
        return _BAD
    try:
        message = _DECODER.decode(text)
        # RecursionError: thousands of nested arrays. ValueError: NaN, what is too long to
        # be sent back, and whatever is no JSON.
        return _said(message, "contractIds" if party == "prices" else "userIds")
    except (ValueError, RecursionError):
        return _BAD


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


class _Number(NamedTuple):
    """A number as the client wrote it: any size, any number of digits."""

    text: str


# Made once: to make it takes longer than to read a message.
_DECODER = json.JSONDecoder(
    parse_constant=_no_constant, parse_int=_Number, parse_float=_Number
)


def _json(value: Any) -> str:
    """Return a value as JSON, its numbers as the client wrote them.

    Escaped, so that a lone surrogate can be sent back too.
    """
    match value:
        case _Number(text):
            return text
        case list():
            return f"[{','.join(map(_json, value))}]"
        case dict():
            pairs = (f"{json.dumps(key)}:{_json(each)}" for key, each in value.items())
            return f"{{{','.join(pairs)}}}"
        case _:
            return json.dumps(value)


def _said(message: Any, ids_field: str) -> Said:
    if message is None:
        return _BAD
    kind = message.get("type") if isinstance(message, dict) else None
    match kind:
        case "SUBSCRIBE" | "UNSUBSCRIBE":
            return _subscription(message, ids_field)
        case "HELLO":
            return _hello(message.get("features", []))
        case "PING":
            return Ping(_echo(message.get("timestamp", _ABSENT)))
        case "MANUAL_UPDATE":
            return ManualUpdate()
        case _:
            return UNKNOWN


def _subscription(message: Any, ids_field: str) -> Said:
    ids = message.get(ids_field)
    if not (ids is None or isinstance(ids, list)):
        return _BAD
    # An empty list means all; one of nothing but invalid ids means none of them.
    texts = tuple(each for each in ids if isinstance(each, str)) if ids else None
    others = tuple(_json(each) for each in ids or () if not isinstance(each, str))
    if message["type"] == "UNSUBSCRIBE":
        return Unsubscribe(texts, others)
    since = message.get("since")
    if not (since is None or isinstance(since, str)):
        since = ""
    return Subscribe(texts, others, since)


def _hello(asked: Any) -> Said:
    if not isinstance(asked, list):
        return _BAD
    named = dict.fromkeys(
        each if isinstance(each, str) else _json(each) for each in asked
    )
    return Hello(
        tuple(each for each in FEATURES if each in named),
        tuple(each for each in named if each not in FEATURES),
    )


def _echo(value: Any) -> bytes | None:
    if value is _ABSENT:
        return None
    echo = _json(value).encode()
    # Escapes are longer than what the client wrote.
    if len(pong(echo)) > MAX_MESSAGE_BYTES:
        raise ValueError("too long to be sent back")
    return echo
