"""The parts that many HTTP resources have in common: parameters, headers, answers."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from app.api.models import reference
from edge.core.cursor import PATTERN
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
    answers.PricesSince,
    answers.BalancesSince,
    wire.PricesBody,
    wire.BalancesBody,
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
    "Access-Control-Allow-Credentials": _header(
        "Whether pages of this origin may send credentials.", enum=["true"]
    ),
    "Access-Control-Allow-Headers": _header("What pages of other origins may send."),
    "Access-Control-Allow-Methods": _header("What pages of other origins may ask."),
    "Access-Control-Allow-Origin": _header(
        "Which pages may read the answer; absent where the origin is not allowed."
    ),
    "Access-Control-Expose-Headers": _header("Which headers pages may read."),
    "Access-Control-Max-Age": _header(
        "Seconds for which a browser need not ask again.", type="integer", minimum=0
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
    "X-Content-Type-Options": _header("Always there.", enum=["nosniff"]),
    "WWW-Authenticate": _header("How to show the token.", enum=["Bearer"]),
}

# Headers of every answer. Those of CORS depend on the settings and on the page that asks.
COMMON = (
    "Access-Control-Allow-Credentials",
    "Access-Control-Allow-Origin",
    "Access-Control-Expose-Headers",
    "Vary",
    "X-Content-Type-Options",
)

# As many as an edge takes by default.
_IDS = {"type": "array", "items": {"type": "string"}, "maxItems": 500}

PARAMETERS: dict[str, Any] = {
    "Room": {
        "name": "room",
        "in": "path",
        "required": True,
        "description": "Every room is the same, and may have slashes in it.",
        "schema": {"type": "string", "default": "main", "minLength": 1},
        "example": "main",
    },
    "Tokens": {
        "name": "tokens",
        "in": "query",
        "description": "Contract ids; unknown and invalid ones are left out of the "
        "answer. Absent means all, empty means none. `stx` is `.stx`, answered under "
        "the spelling asked for. A parameter that is repeated is one list.",
        "schema": _IDS,
        "style": "form",
        "explode": False,
    },
    "Users": {
        "name": "users",
        "in": "query",
        "description": "Addresses; each is answered with every known token, zeros "
        "included, and its account is read for some minutes. Invalid ones are left out. "
        "Absent means all holdings known, empty means none. A parameter that is "
        "repeated is one list.",
        "schema": _IDS,
        "style": "form",
        "explode": False,
    },
    "Since": {
        "name": "since",
        "in": "query",
        "description": "A cursor: the answer has only what changed since. One that is "
        "ahead of this edge is waited for, up to a second.",
        "schema": {"type": "string", "pattern": f"^{PATTERN}$"},
        "example": "2.3f2a9c41d07e.197ab1c0e4d.50-3a.9d0c5be1f7a28364",
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


def _problem(
    description: str, example: Mapping[str, str], *names: str
) -> dict[str, Any]:
    content = {"schema": reference(answers.Mistake), "example": example}
    return {
        "description": description,
        "headers": headers(*names, "Cache-Control", *COMMON),
        "content": {"application/json": content},
    }


def _example(error: answers.ErrorWord, message: str) -> Mapping[str, str]:
    return {"error": error, "message": message}


ANSWERS: dict[str, Any] = {
    "BadRequest": _problem(
        "`since` is no cursor, the query names too many ids, a parameter that there is "
        "not, or a cursor twice. On addresses with a room unknown parameters are ignored.",
        _example(
            "unknown-parameter",
            "there is no parameter `token`; did you mean `tokens`? There are `tokens`, "
            "`since`.",
        ),
    ),
    "NotAllowed": _problem(
        "The resource has no such method; `Allow` names those it has.",
        _example("method-not-allowed", "Method not allowed"),
        "Allow",
    ),
    "NoContent": {
        "description": "What may be asked, and from where.",
        "headers": headers(
            "Allow",
            "Access-Control-Allow-Methods",
            "Access-Control-Allow-Headers",
            "Access-Control-Max-Age",
            *COMMON,
        ),
    },
    "PageNotModified": {
        "description": "The client has this already.",
        "headers": headers("ETag", "Cache-Control", *COMMON),
    },
    "NotModified": {
        "description": "The client has this already, as far as the cursor.",
        "headers": headers("ETag", "Cache-Control", "Feed-Cursor", *COMMON),
    },
    "NoToken": _problem(
        "This edge wants a token for it.",
        _example("unauthorized", "a bearer token is needed"),
        "WWW-Authenticate",
    ),
    "TooMany": _problem(
        "Too many connections from the client's address, or more answers than it may have "
        "(`too-many-requests`). A stream of events is answered as when the edge is not "
        "available.",
        _example("too-many-connections", "too many connections from your address"),
        "Retry-After",
    ),
    "Unavailable": _problem(
        "The edge has not read the table yet, is stopping, or has too many connections. "
        "A stream of events is answered 200 even then, with a time to wait, and ends: "
        "after anything else an `EventSource` would not come back.",
        _example("unavailable", "stopping"),
        "Retry-After",
    ),
    "Triggered": {
        "description": "Upstream will be read, whether or not that succeeds.",
        "headers": headers("Cache-Control", *COMMON),
        "content": {
            "application/json": {
                "schema": reference(wire.Triggered),
                "example": {
                    "status": "triggered",
                    "party": "prices",
                    "timestamp": 1_750_913_233_229,
                },
            }
        },
    },
}
