"""The parts that many HTTP resources have in common: parameters, headers, answers."""

from typing import Any

from app.api.models import reference
from schemas import wire

MODELS = (wire.PricesBody, wire.BalancesBody, wire.Triggered)


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
    "Access-Control-Allow-Methods": _header("What pages of other origins may ask."),
    "Access-Control-Allow-Origin": _header(
        "Which pages may read the answer; absent where the origin is not allowed."
    ),
    "Allow": _header("The methods that the resource has."),
    "Cache-Control": _header("Keep the answer, but ask before it is used again."),
    "ETag": _header("The name of these bytes."),
    "Retry-After": _header("Seconds to wait.", type="integer", minimum=0),
    "Vary": _header("The request headers on which the answer depends."),
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
    "NoContent": {
        "description": "What may be asked, and from where.",
        "headers": headers(
            "Allow", "Access-Control-Allow-Methods", "Access-Control-Allow-Origin"
        ),
    },
    "NotModified": {
        "description": "The client has these bytes already.",
        "headers": headers("ETag", "Cache-Control"),
    },
    "Unavailable": _text(
        "The edge has not read the table yet, or is stopping.",
        "stopping",
        "Retry-After",
    ),
    "Triggered": {
        "description": "Upstream will be read, whether or not that succeeds.",
        "headers": headers("Access-Control-Allow-Origin", "Vary"),
        "content": {"application/json": {"schema": reference(wire.Triggered)}},
    },
}
