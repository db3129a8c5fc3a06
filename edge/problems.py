"""Answers that refuse a request: JSON with a word for programs and a sentence for people."""

from collections.abc import Mapping

import orjson
from aiohttp import hdrs, web

from schemas.answers import ErrorWord

JSON: Mapping[str, str] = {hdrs.CONTENT_TYPE: "application/json"}
NEVER_KEPT: Mapping[str, str] = {hdrs.CACHE_CONTROL: "no-store"}
# One address serves JSON and streams of events, so even refusals depend on these.
VARY_NEGOTIATED: Mapping[str, str] = {
    hdrs.VARY: f"{hdrs.ACCEPT}, {hdrs.ACCEPT_ENCODING}, {hdrs.ORIGIN}"
}
# The name of the program without versions, which would only help an attacker.
SERVER = "stacks-feed"


def problem(
    status: int,
    error: ErrorWord,
    message: str,
    headers: Mapping[str, str] | None = None,
) -> web.Response:
    """Return an answer that says why a request was refused."""
    text = message.encode(errors="replace").decode()
    body = orjson.dumps({"error": error, "message": text})
    return web.Response(
        status=status, body=body, headers={**JSON, **NEVER_KEPT, **(headers or {})}
    )


def too_soon(
    status: int, error: ErrorWord, message: str, *, retry_s: int
) -> web.Response:
    """Return an answer to a request that may succeed after some seconds."""
    headers = {**VARY_NEGOTIATED, hdrs.RETRY_AFTER: f"{retry_s}"}
    return problem(status, error, message, headers)
