"""Admission: what every request and every answer passes, whatever it is about.

Before a request is served: is there room for it, may its page use the edge, has it the token.
Before an answer is sent: the headers that tell browsers who may read it. Both are done here
and nowhere else, so that an answer can be read by the pages that may in every state of the
edge: starting, full, stopping, and when it refuses.
"""

import hmac
from collections.abc import Awaitable, Callable, Mapping
from math import ceil

from aiohttp import hdrs, web

from edge import sse
from edge.core.limits import Full
from edge.core.negotiation import prefers_events
from edge.door import Door, page_of
from edge.parts import MADE_BYTES, MAY_REFRESH, WHO, Parts
from edge.problems import problem, too_soon
from edge.sending import LongAnswer, sliced
from edge.uploads import see_off, still_sends
from runtime.metrics import REFUSED
from schemas.answers import ErrorWord

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

RETRY_S = 10
# Cost of a request beside the bytes that are made to answer it, and cost of one that opens
# a stream or a WebSocket, beside the messages that are made for it alone.
_REQUEST_BYTES, _STREAM_BYTES = 1_024, 32_768
_METRICS = "/metrics"
# A full edge must still be watched.
_ALWAYS = frozenset(("/health/live", "/health/ready", _METRICS))
_TOLD = {
    Full.ADDRESS: (429, "too many connections from your address"),
    Full.ALL: (503, "too many connections"),
}
# What aiohttp itself refuses is a bad request, but for these.
_WORDS: Mapping[int, ErrorWord] = {404: "not-found", 405: "method-not-allowed"}
_READING = frozenset((hdrs.METH_GET, hdrs.METH_HEAD))


class Guard:
    """Looks at each request before anybody else does, and at each answer after."""

    def __init__(self, parts: Parts, door: Door) -> None:
        self._parts, self._door = parts, door

    def middleware(self) -> Callable[..., Awaitable[web.StreamResponse]]:
        """Return it as aiohttp calls it."""

        @web.middleware
        async def guarded(
            request: web.Request, handler: _Handler
        ) -> web.StreamResponse:
            with self._door.passing(request) as (who, full):
                request[WHO] = who
                answer = sliced(await self._answer(request, handler, full))
                if full is not None:
                    answer.force_close()
                await self._send(request, answer)
                return answer

        return guarded

    async def dress(self, request: web.Request, answer: web.StreamResponse) -> None:
        """Give an answer the headers that all have, just before it is sent."""
        self._door.dress(request, answer)

    async def _answer(
        self, request: web.Request, handler: _Handler, full: Full | None
    ) -> web.StreamResponse:
        if _is_always_answered(request):
            return await self._admitted(request, handler)
        if full is not None:
            status, why = _TOLD[full]
            said: ErrorWord = "too-many-connections"
            return await self._turn_away(request, status, said, why, retry_s=RETRY_S)
        who, parts = request[WHO], self._parts
        wait_s = parts.spent_out_s(who)
        if wait_s > 0:
            REFUSED.labels("requests").inc()
            why = "your address asks for more than it may"
            retry_s = ceil(wait_s)
            return await self._turn_away(
                request, 429, "too-many-requests", why, retry_s=retry_s
            )
        if is_upgrade(request) or prefers_events(_accepted(request)):
            # It lasts: paid for when it begins, and what is made for it when that is.
            parts.spend(who, _STREAM_BYTES)
            return await self._admitted(request, handler)
        answer = await self._admitted(request, handler)
        cost = _REQUEST_BYTES + request.get(MADE_BYTES, answer.content_length or 0)
        parts.spend(who, cost)
        return answer

    async def _admitted(
        self, request: web.Request, handler: _Handler
    ) -> web.StreamResponse:
        request[MAY_REFRESH] = shows(self._parts.config.access.refresh_token, request)
        refused = self._refused(request)
        return await _serve(request, handler) if refused is None else refused

    async def _send(self, request: web.Request, answer: web.StreamResponse) -> None:
        """Send what aiohttp would not send as it should; it sends the rest."""
        if answer.prepared:  # a stream, or a WebSocket, that has ended
            return
        sends_on = still_sends(request)
        if sends_on:
            answer.force_close()
        if isinstance(answer, LongAnswer):
            await self._parts.answers.send(request, answer)
        if sends_on:
            await see_off(request, answer, self._parts.clock)

    def _refused(self, request: web.Request) -> web.Response | None:
        if is_upgrade(request) and not self._door.origins.admits(*page_of(request)):
            REFUSED.labels("origin").inc()
            return problem(403, "origin-not-allowed", "origin not allowed")
        asks_metrics = request.path == _METRICS and request.method in _READING
        metrics_token = self._parts.config.access.metrics_token
        if asks_metrics and not shows(metrics_token, request):
            return unauthorized()
        return None

    async def _turn_away(
        self,
        request: web.Request,
        status: int,
        error: ErrorWord,
        why: str,
        *,
        retry_s: int,
    ) -> web.StreamResponse:
        if request.method == hdrs.METH_GET and prefers_events(_accepted(request)):
            return await sse.send_away(request, why, self._parts)
        return too_soon(status, error, why, retry_s=retry_s)


def is_upgrade(request: web.Request) -> bool:
    """Tell whether a request asks for a WebSocket, perhaps among other protocols."""
    offered = ",".join(request.headers.getall(hdrs.UPGRADE, ())).lower().split(",")
    is_offered = "websocket" in map(str.strip, offered)
    return is_offered and request.method == hdrs.METH_GET


def shows(token: str | None, request: web.Request) -> bool:
    """Tell whether a request shows the token that is asked for, if one is.

    Compared in a time that does not tell how much of it was right.
    """
    if token is None:
        return True
    scheme, _, shown = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    is_right = hmac.compare_digest(
        shown.strip().encode("utf-8", "surrogateescape"), token.encode()
    )
    return is_right and scheme.lower() == "bearer"


async def _serve(request: web.Request, handler: _Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPException as raised:  # aiohttp's own, as of a handshake that is none
        word = _WORDS.get(raised.status, "bad-request")
        return problem(raised.status, word, raised.text or raised.reason)


def _accepted(request: web.Request) -> str:
    return ",".join(request.headers.getall(hdrs.ACCEPT, ()))


def _is_always_answered(request: web.Request) -> bool:
    """Tell whether a request is answered though there is no room.

    Without an answer to its preflight a page could not read why it was turned away.
    """
    return request.method == hdrs.METH_OPTIONS or request.path in _ALWAYS


def unauthorized() -> web.Response:
    """Return the refusal of a request that shows no token where one is needed."""
    REFUSED.labels("token").inc()
    challenge: dict[str, str] = {hdrs.WWW_AUTHENTICATE: "Bearer"}
    return problem(401, "unauthorized", "a bearer token is needed", challenge)
