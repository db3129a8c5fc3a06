"""Which HTTP resource there is, and what its methods answer."""

from typing import Any

from pydantic import BaseModel

from app.api.answers import answer, headers, parameter
from app.api.models import reference
from schemas import wire
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
_BODIES: dict[Party, type[BaseModel]] = {
    "prices": wire.PricesBody,
    "balances": wire.BalancesBody,
}
_FILTERS: dict[Party, str] = {"prices": "Tokens", "balances": "Users"}


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
    schema = reference(_BODIES[party])
    return {
        "operationId": f"get{name}",
        "tags": [party],
        "summary": summary,
        "parameters": _asked(party),
        "responses": {
            "200": {
                "description": "What the table of this edge holds now.",
                "headers": headers("Access-Control-Allow-Origin", "Vary"),
                "content": {"application/json": {"schema": schema}},
            },
            "503": answer("Unavailable"),
        },
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
                "headers": headers("Access-Control-Allow-Origin", "Vary"),
            },
            "503": answer("Unavailable"),
        },
    }


def _asked(party: Party) -> list[dict[str, str]]:
    return [parameter(_FILTERS[party])]


def _post(party: Party, name: str) -> dict[str, Any]:
    return {
        "operationId": f"refresh{name}",
        "tags": [party],
        "summary": f"Have {party} read from upstream soon",
        "description": "What is sent with it is not read.",
        "responses": {"200": answer("Triggered"), "503": answer("Unavailable")},
    }


def _options(party: Party, name: str) -> dict[str, Any]:
    return {
        "operationId": f"options{name}",
        "tags": [party],
        "summary": "What pages of other origins may ask",
        "responses": {"204": answer("NoContent")},
    }


def told_paths() -> dict[str, Any]:
    """Return the resources about the edge itself."""
    return {
        "/health/live": _told(
            "isLive", "Whether the event loop turns", {"200": _as_text("It does.")}
        ),
        "/health/ready": _told(
            "isReady",
            "Whether clients are served, and why not",
            {
                "200": _as_json("They are.", _READINESS),
                "503": _as_json("They are not.", _READINESS),
            },
        ),
        "/metrics": _told(
            "metrics", "Metrics for Prometheus", {"200": _as_text("All metrics.")}
        ),
        "/": _page("dashboard", "A page that shows the feed", "text/html"),
        "/openapi.json": _page("openapi", "This document", "application/json"),
        "/asyncapi.json": _page(
            "asyncapi", "The WebSocket, as AsyncAPI", "application/json"
        ),
    }


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
            "responses": responses,
        }
    }


def _page(operation: str, summary: str, kind: str) -> dict[str, Any]:
    """Return a resource that changes with the version of the edge alone."""
    content = {"schema": {"type": "object" if kind.endswith("json") else "string"}}
    found = {
        "description": summary + ".",
        "headers": headers("ETag", "Cache-Control", "Vary"),
        "content": {kind: content},
    }
    item = _told(operation, summary, {"200": found, "304": answer("NotModified")})
    item["get"]["parameters"] = [parameter("IfNoneMatch")]
    return item


def _as_text(description: str) -> dict[str, Any]:
    content = {"text/plain": {"schema": {"type": "string"}}}
    return {"description": description, "content": content}


def _as_json(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {
        "description": description,
        "content": {"application/json": {"schema": schema}},
    }
