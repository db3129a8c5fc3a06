"""The two resources, prices and balances: what each method of HTTP gets from them."""

from aiohttp import hdrs, web

from edge import websocket
from edge.config import ANY_ORIGIN, EdgeConfig
from edge.core.messages import triggered
from edge.parts import Parts
from schemas.demand import RefreshKind
from schemas.wire import Party

_FILTERS: dict[Party, str] = {"prices": "tokens", "balances": "users"}
_KINDS: dict[Party, RefreshKind] = {
    "prices": RefreshKind.PRICES,
    "balances": RefreshKind.BALANCES,
}
_ALLOWED = "GET, HEAD, POST, OPTIONS"
_SERVED = frozenset(_ALLOWED.split(", "))
_TEXT = {hdrs.CONTENT_TYPE: "text/plain;charset=UTF-8"}
_PREFLIGHT_S = 86_400
_RETRY_S = 1


async def serve(party: Party, parts: Parts, request: web.Request) -> web.StreamResponse:
    """Answer one request to a party."""
    upgrade = request.headers.get(hdrs.UPGRADE, "").lower() == "websocket"
    if upgrade and request.method == hdrs.METH_GET:
        return await _upgrade(party, parts, request)
    answer = _answer(party, parts, request)
    answer.headers.update(_cors(parts.config, request.headers.get(hdrs.ORIGIN)))
    return answer


async def _upgrade(
    party: Party, parts: Parts, request: web.Request
) -> web.StreamResponse:
    why = parts.closed_because()
    if why is not None:
        return _unavailable(why)
    return await websocket.serve(request, party, parts)


def _answer(party: Party, parts: Parts, request: web.Request) -> web.Response:
    if request.method == hdrs.METH_OPTIONS:
        return _preflight()
    if request.method not in _SERVED:
        headers = _TEXT | {hdrs.ALLOW: _ALLOWED}
        return web.Response(status=405, body=b"Method not allowed", headers=headers)
    why = parts.closed_because()
    if why is not None:
        return _unavailable(why)
    now_ms = parts.clock.now_ms()
    if request.method == hdrs.METH_POST:
        parts.demand.refresh(_KINDS[party])
        return _json(triggered(party, now_ms=now_ms))
    asked = request.query.get(_FILTERS[party])
    body = parts.hub.body(party, asked, now_ms=now_ms)
    parts.demand.glance(body.watch)
    return _json(body.json)


def _cors(config: EdgeConfig, origin: str | None) -> dict[str, str]:
    """Return which pages may read the answer."""
    if ANY_ORIGIN in config.origins:
        return {hdrs.ACCESS_CONTROL_ALLOW_ORIGIN: ANY_ORIGIN}
    # Caches must not give one origin's answer to another.
    headers: dict[str, str] = {hdrs.VARY: hdrs.ORIGIN}
    if origin is not None and origin in config.origins:
        headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = origin
    return headers


def _preflight() -> web.Response:
    return web.Response(
        status=204,
        headers={
            hdrs.ALLOW: _ALLOWED,
            hdrs.ACCESS_CONTROL_ALLOW_METHODS: _ALLOWED,
            hdrs.ACCESS_CONTROL_ALLOW_HEADERS: hdrs.CONTENT_TYPE,
            hdrs.ACCESS_CONTROL_MAX_AGE: f"{_PREFLIGHT_S}",
        },
    )


def _json(body: bytes, *, status: int = 200) -> web.Response:
    return web.Response(body=body, status=status, content_type="application/json")


def _unavailable(why: str) -> web.Response:
    headers = _TEXT | {hdrs.RETRY_AFTER: f"{_RETRY_S}"}
    return web.Response(status=503, body=why.encode(), headers=headers)
