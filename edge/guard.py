"""What every request passes: is there room, does it come from a page that may, has it a token."""

import hmac
from collections.abc import Awaitable, Callable

from aiohttp import hdrs, web

from edge import sse
from edge.config import ANY_ORIGIN, EdgeConfig
from edge.core.limits import Full
from edge.core.negotiation import prefers_events
from edge.door import Door
from edge.parts import MAY_REFRESH, WHO, Parts
from runtime.metrics import REFUSED

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

RETRY_S = 10
_METRICS = "/metrics"
# A full edge must still be watched.
_ALWAYS = frozenset(("/health/live", "/health/ready", _METRICS))
_TOLD = {
    Full.ADDRESS: (429, "too many connections from your address"),
    Full.ALL: (503, "too many connections"),
}
_TEXT = {
    hdrs.CONTENT_TYPE: "text/plain;charset=UTF-8",
    hdrs.CACHE_CONTROL: "no-store",
}


class Guard:
    """Looks at each request before anybody else does."""

    def __init__(self, parts: Parts, door: Door) -> None:
        self._parts, self._door = parts, door

    def middleware(self) -> Callable[..., Awaitable[web.StreamResponse]]:
        """Return it as aiohttp calls it."""

        @web.middleware
        async def guarded(
            request: web.Request, handler: _Handler
        ) -> web.StreamResponse:
            return await self._pass(request, handler)

        return guarded

    async def _pass(
        self, request: web.Request, handler: _Handler
    ) -> web.StreamResponse:
        with self._door.passing(request) as (who, full):
            if full is not None and request.path not in _ALWAYS:
                return await self._turn_away(request, full)
            access = self._parts.config.access
            request[WHO] = who
            request[MAY_REFRESH] = shows(access.refresh_token, request)
            refused = self._refused(request)
            answer = await handler(request) if refused is None else refused
            if full is not None:
                answer.force_close()
            return answer

    def _refused(self, request: web.Request) -> web.Response | None:
        config = self._parts.config
        if is_upgrade(request) and not _may_connect(config, request):
            return _refusal(403, "origin", "origin not allowed")
        asks_metrics = request.path == _METRICS
        if asks_metrics and not shows(config.access.metrics_token, request):
            return _unauthorized()
        if request.method == hdrs.METH_POST and not request[MAY_REFRESH]:
            return _unauthorized()
        return None

    async def _turn_away(self, request: web.Request, full: Full) -> web.StreamResponse:
        status, why = _TOLD[full]
        accepted = ",".join(request.headers.getall(hdrs.ACCEPT, ()))
        if request.method == hdrs.METH_GET and prefers_events(accepted):
            return await sse.send_away(request, sse.Stream({}), why, self._parts)
        headers = {**_TEXT, hdrs.RETRY_AFTER: f"{RETRY_S}"}
        answer = web.Response(status=status, body=why.encode(), headers=headers)
        answer.force_close()
        return answer


def is_upgrade(request: web.Request) -> bool:
    """Tell whether a request asks for a WebSocket."""
    upgrade = request.headers.get(hdrs.UPGRADE, "").lower()
    return upgrade == "websocket" and request.method == hdrs.METH_GET


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


def _may_connect(config: EdgeConfig, request: web.Request) -> bool:
    """Tell whether a page may open a connection. Programs that are no page have no origin."""
    origin = request.headers.get(hdrs.ORIGIN)
    if not config.access.checks_origins or origin is None:
        return True
    is_ours = origin.partition("://")[2] == request.headers.get(hdrs.HOST, "")
    return is_ours or ANY_ORIGIN in config.origins or origin in config.origins


def _refusal(status: int, reason: str, said: str) -> web.Response:
    REFUSED.labels(reason).inc()
    return web.Response(status=status, body=said.encode(), headers=_TEXT)


def _unauthorized() -> web.Response:
    answer = _refusal(401, "token", "a bearer token is needed")
    answer.headers[hdrs.WWW_AUTHENTICATE] = "Bearer"
    return answer
