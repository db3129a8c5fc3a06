"""Which HTTP resource there is, and what its methods answer."""

from typing import Any

from pydantic import BaseModel

from app.api.answers import COMMON, EVENTS, answer, headers, parameter
from app.api.models import reference
from app.api.texts import BODY_EXAMPLES
from schemas import answers, wire
from schemas.wire import Party

# The first path of each party is the one to use; the others are for older clients.
_PATHS: dict[Party, tuple[str, ...]] = {
    "prices": (
        "/parties/prices/{room}",
        "/parties/main/{room}",
        "/party/{room}",
        "/prices",
    ),
    "balances": ("/parties/balances/{room}", "/balances"),
}
_BODIES: dict[Party, tuple[type[BaseModel], ...]] = {
    # Generated clients take the first that fits: the one with more fields.
    "prices": (answers.PricesSince, wire.PricesBody),
    "balances": (answers.BalancesSince, wire.BalancesBody),
}
_FILTERS: dict[Party, str] = {"prices": "Tokens", "balances": "Users"}

# The one or the other, as the edge is set.
MAYBE_A_TOKEN: list[dict[str, list[str]]] = [{}, {"token": []}]
CROWDED = {"429": answer("TooMany"), "503": answer("Unavailable")}


def party_paths() -> dict[str, Any]:
    """Return the resources of both parties."""
    return {
        path: _party_item(party, path)
        for party, paths in _PATHS.items()
        for path in paths
    }


def _party_item(party: Party, path: str) -> dict[str, Any]:
    """Return one resource; `operationId` must differ from that of its other names."""
    words = path.replace("/parties/", "/").split("/")
    name = "".join(word.strip("{}").capitalize() for word in words)
    item: dict[str, Any] = {
        "description": "With `Upgrade: websocket` it is the WebSocket that "
        "`/asyncapi.json` describes.",
        "get": _get(party, name, f"All {party}, or those named"),
        "head": _head(party, name),
        "post": _post(party, name),
        "options": _options(party, name),
    }
    if "{room}" in path:
        item["parameters"] = [parameter("Room")]
    return item


def _get(party: Party, name: str, summary: str) -> dict[str, Any]:
    return {
        "operationId": f"get{name}",
        "tags": [party],
        "summary": summary,
        "description": _CHOICE,
        "parameters": _asked(party),
        "responses": {
            "200": {
                "description": "What the table of this edge holds now; with `since` "
                "what changed; or a stream of events.",
                "headers": headers(*_KEPT),
                "content": {**_bodies(party), "text/event-stream": _events(party)},
            },
            "304": answer("NotModified"),
            "400": answer("BadRequest"),
            "405": answer("NotAllowed"),
            **CROWDED,
        },
    }


_CHOICE = (
    "With `Accept: text/event-stream`, liked better than JSON, the answer is a stream of "
    "events; else JSON, compressed where `Accept-Encoding` has `gzip`. `ETag` and "
    "`Feed-Cursor` are those of answers without `since`."
)
_KEPT = (
    "ETag",
    "Cache-Control",
    "Feed-Cursor",
    "Content-Encoding",
    *COMMON,
)


def _bodies(party: Party) -> dict[str, Any]:
    every = [reference(each) for each in _BODIES[party]]
    return {
        "application/json": {
            "schema": {"oneOf": every},
            "examples": BODY_EXAMPLES[party],
        }
    }


def _events(party: Party) -> dict[str, Any]:
    """Return what a stream looks like, and what its events may hold."""
    return {
        "schema": {
            "type": "string",
            "description": "Server-sent events, each with one message of the base "
            "protocol as JSON in `data`, and no `event` field. `id` is a cursor, in the "
            "last event of a write after which the client has everything. `retry` comes "
            "first. A comment keeps a quiet stream alive. `SUBSCRIBED` answers a "
            "cursor, `REMOVED` voids a key.",
            "contentMediaType": "text/event-stream",
            # The `data` of its events, one after the other.
            "contentSchema": {
                "type": "array",
                "items": {"anyOf": [reference(each) for each in EVENTS[party]]},
            },
        },
        "example": 'retry: 2500\ndata: {"type":"SERVER_INFO","party":"prices",'
        '"isLocalDev":false,"metadataLoaded":true,"metadataCount":127,'
        '"timestamp":1750913233229}\n\nid: 2.3f2a9c41d07e.197ab1c0e4d.50-3a.9d0c5be1f7a28364\n'
        'data: {"type":"PRICE_BATCH","prices":[],"timestamp":1750913233229}\n\n',
    }


def _head(party: Party, name: str) -> dict[str, Any]:
    return {
        "operationId": f"head{name}",
        "tags": [party],
        "summary": "The headers of the same GET",
        "parameters": _asked(party),
        "responses": {
            "200": {
                "description": "The headers of the same GET.",
                "headers": headers(*_KEPT),
            },
            "304": answer("NotModified"),
            **{
                status: {
                    "description": "As the same GET, without a body.",
                    "headers": headers(*COMMON),
                }
                for status in ("400", *CROWDED)
            },
        },
    }


def _asked(party: Party) -> list[dict[str, str]]:
    names = (_FILTERS[party], "Since", "IfNoneMatch", "LastEventId")
    return [parameter(each) for each in names]


def _post(party: Party, name: str) -> dict[str, Any]:
    return {
        "operationId": f"refresh{name}",
        "tags": [party],
        "summary": f"Have {party} read from upstream soon",
        "description": "What is sent with it is not read.",
        "security": MAYBE_A_TOKEN,
        "responses": {
            "200": answer("Triggered"),
            "400": answer("BadRequest"),
            "401": answer("NoToken"),
            **CROWDED,
        },
    }


def _options(party: Party, name: str) -> dict[str, Any]:
    return {
        "operationId": f"options{name}",
        "tags": [party],
        "summary": "What pages of other origins may ask",
        "responses": {"204": answer("NoContent"), "400": answer("BadRequest")},
    }


def told_paths() -> dict[str, Any]:
    """Return the resources about the edge itself."""
    return {
        "/health/live": _told(
            "isLive",
            "Whether the event loop turns",
            {"200": _as_text("It does.", "live")},
        ),
        "/health/ready": _told(
            "isReady",
            "Whether clients are served, and why not",
            {
                "200": _as_json("They are.", _READINESS),
                "503": _as_json("They are not.", _READINESS),
            },
        ),
        "/metrics": _metrics(),
        "/": _page("dashboard", "A page that shows the feed", "text/html"),
        "/openapi.json": _page("openapi", "This document", "application/json"),
        "/asyncapi.json": _page(
            "asyncapi", "The WebSocket, as AsyncAPI", "application/json"
        ),
    }


def _metrics() -> dict[str, Any]:
    answers = {
        "200": _as_text("All metrics.", "# HELP stacks_feed_clients Connected clients"),
        "401": answer("NoToken"),
    }
    item = _told("metrics", "Metrics for Prometheus", answers)
    item["get"]["security"] = MAYBE_A_TOKEN
    return item


_LINES = {"type": "array", "items": {"type": "string"}}
_READINESS = {
    "type": "object",
    "properties": {
        "ready": {"type": "boolean"},
        "reasons": _LINES,
        "warnings": _LINES,
    },
    "required": ["ready", "reasons", "warnings"],
}


def _told(operation: str, summary: str, responses: dict[str, Any]) -> dict[str, Any]:
    return {
        "get": {
            "operationId": operation,
            "tags": ["about"],
            "summary": summary,
            "responses": {**responses, "405": answer("NotAllowed")},
        }
    }


def _page(operation: str, summary: str, kind: str) -> dict[str, Any]:
    """Return a resource that changes with the version of the edge alone."""
    content = {"schema": {"type": "object" if kind.endswith("json") else "string"}}
    found = {
        "description": summary + ".",
        "headers": headers("ETag", "Cache-Control", "Content-Encoding", *COMMON),
        "content": {kind: content},
    }
    responses = {"200": found, "304": answer("PageNotModified"), **CROWDED}
    item = _told(operation, summary, responses)
    item["get"]["parameters"] = [parameter("IfNoneMatch")]
    return item


def _as_text(description: str, example: str) -> dict[str, Any]:
    content = {"schema": {"type": "string"}, "example": example}
    return {
        "description": description,
        "headers": headers(*COMMON),
        "content": {"text/plain": content},
    }


def _as_json(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    example = {"ready": True, "reasons": [], "warnings": []}
    return {
        "description": description,
        "headers": headers(*COMMON),
        "content": {"application/json": {"schema": schema, "example": example}},
    }
