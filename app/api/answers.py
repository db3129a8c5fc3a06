"""The parts that many HTTP resources have in common: parameters, headers, answers."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from app.api.models import reference
from schemas import answers, extras, wire
from schemas.wire import Party

EVENTS: Mapping[Party, Sequence[type[BaseModel]]] = {
    "prices": (
        wire.ServerInfo,
        extras.Subscribed,
        wire.PriceUpdate,
        wire.PriceBatch,
        extras.Removed,
    ),
    "balances": (
        wire.ServerInfo,
        extras.Subscribed,
        wire.BalanceUpdate,
        wire.BalanceBatch,
        extras.Removed,
    ),
}
MODELS: Sequence[type[BaseModel]] = (
    wire.PricesBody,
    wire.BalancesBody,
    answers.PricesSince,
    answers.BalancesSince,
    answers.Mistake,
    wire.Triggered,
    *EVENTS["prices"],
    *EVENTS["balances"],
)


def parameter(name: str) -> dict[str, str]:
    """Return the reference to a parameter."""
    return {"$ref": f"#/components/parameters/{name}"}


def answer(name: str) -> dict[str, str]:
    """Return the reference to an answer."""
    return {"$ref": f"#/components/responses/{name}"}


def headers(*names: str) -> dict[str, Any]:
    """Return the references to headers, by their names on the wire."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _header(description: str, **schema: Any) -> dict[str, Any]:
    return {"description": description, "schema": {"type": "string"} | schema}


HEADERS: dict[str, Any] = {
    "Access-Control-Allow-Headers": _header("What pages of other origins may send."),
    "Access-Control-Allow-Methods": _header("What pages of other origins may ask."),
    "Access-Control-Allow-Origin": _header(
        "Which pages may read the answer; absent where the origin is not allowed."
    ),
    "Allow": _header("The methods that the resource has."),
    "Cache-Control": _header(
        "`no-cache`: keep the answer, but ask before it is used again; `private` of "
        "balances; `no-store` of what is never the same twice."
    ),
    "Content-Encoding": _header(
        "`gzip` where the client takes it and the answer is long.", enum=["gzip"]
    ),
    "ETag": _header(
        "A weak tag: another one when the answer is, whatever time it says it is. The "
        "same on every edge."
    ),
    "Feed-Cursor": _header("How far the answer is: what to ask with `since` from."),
    "Retry-After": _header("Seconds to wait.", type="integer", minimum=0),
    "Vary": _header("The request headers on which the answer depends."),
    "WWW-Authenticate": _header("How to show the token.", enum=["Bearer"]),
}

_IDS = {"type": "array", "items": {"type": "string"}}

PARAMETERS: dict[str, Any] = {
    "Room": {
        "name": "room",
        "in": "path",
        "required": True,
        "description": "Every room is the same.",
        "schema": {"type": "string", "default": "main"},
    },
    "Tokens": {
        "name": "tokens",
        "in": "query",
        "description": "Contract ids; unknown and invalid ones are left out of the "
        "answer. Absent means all, empty means none. `stx` is `.stx`, answered under "
        "the spelling asked for.",
        "schema": _IDS,
        "style": "form",
        "explode": False,
    },
    "Users": {
        "name": "users",
        "in": "query",
        "description": "Addresses; each is answered with every known token, zeros "
        "included, and its account is read for some minutes. Invalid ones are left out. "
        "Absent means all holdings known, empty means none.",
        "schema": _IDS,
        "style": "form",
        "explode": False,
    },
    "Since": {
        "name": "since",
        "in": "query",
        "description": "A cursor: the answer has only what changed since. One that is "
        "ahead of this edge is waited for, up to a second.",
        "schema": {"type": "string"},
    },
    "LastEventId": {
        "name": "Last-Event-ID",
        "in": "header",
        "description": "Of a stream of events: the cursor to go on from. An "
        "`EventSource` sends it when it comes back; it wins over `since`.",
        "schema": {"type": "string"},
    },
    "IfNoneMatch": {
        "name": "If-None-Match",
        "in": "header",
        "description": "The `ETag` of an answer that the client still has.",
        "schema": {"type": "string"},
    },
}


def _text(description: str, example: str, *names: str) -> dict[str, Any]:
    said = {"schema": {"type": "string"}, "example": example}
    return {
        "description": description,
        "headers": headers(*names),
        "content": {"text/plain": said},
    }


ANSWERS: dict[str, Any] = {
    "BadRequest": {
        "description": "`since` is no cursor, or the query names too many ids.",
        "headers": headers("Cache-Control", "Access-Control-Allow-Origin", "Vary"),
        "content": {"application/json": {"schema": reference(answers.Mistake)}},
    },
    "NoContent": {
        "description": "What may be asked, and from where.",
        "headers": headers(
            "Allow",
            "Access-Control-Allow-Methods",
            "Access-Control-Allow-Headers",
            "Access-Control-Allow-Origin",
            "Vary",
        ),
    },
    "PageNotModified": {
        "description": "The client has this already.",
        "headers": headers("ETag", "Cache-Control", "Vary"),
    },
    "NotModified": {
        "description": "The client has this already, as far as the cursor.",
        "headers": headers(
            "ETag",
            "Cache-Control",
            "Feed-Cursor",
            "Access-Control-Allow-Origin",
            "Vary",
        ),
    },
    "NoToken": _text(
        "This edge wants a token for it.",
        "a bearer token is needed",
        "WWW-Authenticate",
        "Cache-Control",
    ),
    "TooMany": _text(
        "Too many connections from the client's address. A stream of events is answered "
        "as when the edge is not available.",
        "too many connections from your address",
        "Retry-After",
        "Cache-Control",
    ),
    "Unavailable": _text(
        "The edge has not read the table yet, is stopping, or has too many connections. "
        "A stream of events is answered 200 even then, with a time to wait, and ends: "
        "after anything else an `EventSource` would not come back.",
        "stopping",
        "Retry-After",
        "Cache-Control",
        "Access-Control-Allow-Origin",
        "Vary",
    ),
    "Triggered": {
        "description": "Upstream will be read, whether or not that succeeds.",
        "headers": headers("Cache-Control", "Access-Control-Allow-Origin", "Vary"),
        "content": {"application/json": {"schema": reference(wire.Triggered)}},
    },
}
