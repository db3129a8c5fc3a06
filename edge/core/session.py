"""What a client said, as a value; nothing a client sends raises."""

import json
from dataclasses import dataclass
from typing import Any, NoReturn, TypeAlias

from edge.core.frames import MAX_MESSAGE_BYTES
from edge.core.messages import BAD_FORMAT, UNKNOWN_TYPE, pong
from schemas.wire import Party


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Ids as written; ``None`` means all."""

    ids: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """Ids as written; ``None`` means all."""

    ids: tuple[str, ...] | None


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


Said: TypeAlias = Subscribe | Unsubscribe | Ping | ManualUpdate | Refused

_ABSENT = object()


def parse(text: str | bytes, party: Party) -> Said:
    """Read one message of a client of ``party``; a binary frame is none."""
    if isinstance(text, bytes):
        return Refused(BAD_FORMAT)
    try:
        message = json.loads(text, parse_constant=_no_constant)
        # RecursionError: thousands of nested arrays. ValueError: numbers of thousands of
        # digits, NaN, what is too long to be sent back, and whatever is no JSON.
        return _said(message, "contractIds" if party == "prices" else "userIds")
    except (ValueError, RecursionError):
        return Refused(BAD_FORMAT)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _said(message: Any, ids_field: str) -> Said:
    if message is None:
        return Refused(BAD_FORMAT)
    kind = message.get("type") if isinstance(message, dict) else None
    match kind:
        case "SUBSCRIBE" | "UNSUBSCRIBE":
            ids = message.get(ids_field)
            if not (ids is None or isinstance(ids, list)):
                return Refused(BAD_FORMAT)
            asked = _texts(ids)
            return Subscribe(asked) if kind == "SUBSCRIBE" else Unsubscribe(asked)
        case "PING":
            return Ping(_echo(message.get("timestamp", _ABSENT)))
        case "MANUAL_UPDATE":
            return ManualUpdate()
        case _:
            return Refused(UNKNOWN_TYPE)


def _texts(ids: list[Any] | None) -> tuple[str, ...] | None:
    # An empty list means all; one of nothing but invalid ids means none of them.
    return tuple(each for each in ids if isinstance(each, str)) if ids else None


def _echo(value: Any) -> bytes | None:
    if value is _ABSENT:
        return None
    # Escaped, so that a lone surrogate can be sent back too.
    echo = json.dumps(value, separators=(",", ":"), allow_nan=False).encode()
    # Escapes and numbers without exponent are longer than what the client wrote.
    if len(pong(echo)) > MAX_MESSAGE_BYTES:
        raise ValueError("too long to be sent back")
    return echo
