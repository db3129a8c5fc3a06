"""The two resources, prices and balances: what each method of HTTP gets from them."""

import asyncio
from typing import TypeAlias

import orjson
from aiohttp import hdrs, web

from edge import sse, websocket
from edge.answering import judged
from edge.config import ANY_ORIGIN, EdgeConfig
from edge.core.bodies import Asked, Body
from edge.core.cursor import parse_cursor
from edge.core.etags import matches
from edge.core.messages import triggered
from edge.core.negotiation import prefers_events, prefers_gzip
from edge.core.packed import MIN_BYTES
from edge.core.session import Subscribe
from edge.guard import is_upgrade
from edge.parts import WHO, Parts
from runtime.metrics import RESUMES
from schemas.demand import RefreshKind
from schemas.wire import Party

_Headers: TypeAlias = dict[str, str]

_FILTERS: dict[Party, str] = {"prices": "tokens", "balances": "users"}
_KINDS: dict[Party, RefreshKind] = {
    "prices": RefreshKind.PRICES,
    "balances": RefreshKind.BALANCES,
}
_ALLOWED = "GET, HEAD, POST, OPTIONS"
_SERVED = frozenset(_ALLOWED.split(", "))
_TEXT: _Headers = {hdrs.CONTENT_TYPE: "text/plain;charset=UTF-8"}
_JSON: _Headers = {hdrs.CONTENT_TYPE: "application/json"}
_SINCE, _LAST_EVENT_ID = "since", "Last-Event-ID"
# Where an answer without ``since`` says how far it is: its body is that of old clients.
_CURSOR = "Feed-Cursor"
# Kept only to be asked about; who holds which balances is no matter of shared caches.
_KEEPING: dict[Party, str] = {"prices": "no-cache", "balances": "private, no-cache"}
_NEVER_KEPT: _Headers = {hdrs.CACHE_CONTROL: "no-store"}
_VARY: _Headers = {hdrs.VARY: f"{hdrs.ACCEPT}, {hdrs.ACCEPT_ENCODING}, {hdrs.ORIGIN}"}
_EXPOSED = f"ETag, {hdrs.RETRY_AFTER}, {_CURSOR}"
_MAY_BE_SENT = (
    f"{hdrs.AUTHORIZATION}, {hdrs.CONTENT_TYPE}, {hdrs.CACHE_CONTROL}, {_LAST_EVENT_ID}"
)
_PREFLIGHT_S = 86_400
_RETRY_S = 1
# What is longer than this is compressed beside the loop.
_LONG_BYTES = 65_536


async def serve(party: Party, parts: Parts, request: web.Request) -> web.StreamResponse:
    """Answer one request to a party."""
    if is_upgrade(request):
        return await _upgrade(party, parts, request)
    readers = _cors(parts.config, request.headers.get(hdrs.ORIGIN))
    most = parts.config.allowances.ids_per_message
    if most and request.query.get(_FILTERS[party], "").count(",") >= most:
        said = f"at most {most} ids, separated by commas"
        answer = _mistake("too-many-ids", said)
    elif request.method == hdrs.METH_GET and _wants_events(request):
        return await _stream(party, parts, request, readers)
    else:
        answer = await _answer(party, parts, request)
    for name, value in readers.items():
        answer.headers.setdefault(name, value)
    return answer


async def _upgrade(
    party: Party, parts: Parts, request: web.Request
) -> web.StreamResponse:
    why = parts.closed_because()
    if why is not None:
        return _unavailable(why)
    return await websocket.serve(request, party, parts)


async def _stream(
    party: Party, parts: Parts, request: web.Request, readers: _Headers
) -> web.StreamResponse:
    stream = sse.Stream({**readers, **_VARY})
    why = parts.closed_because()
    if why is not None:
        return await sse.send_away(request, stream, why, parts)
    listed = request.query.get(_FILTERS[party])
    ids = None if listed is None else tuple(listed.split(","))
    # A page cannot set headers: the query is for its first request, the header for those
    # by which its EventSource comes back.
    since = request.headers.get(_LAST_EVENT_ID) or request.query.get(_SINCE)
    return await sse.serve(request, stream, party, Subscribe(ids, since=since), parts)


async def _answer(party: Party, parts: Parts, request: web.Request) -> web.Response:
    if request.method == hdrs.METH_OPTIONS:
        return _preflight()
    if request.method not in _SERVED:
        headers = _TEXT | {hdrs.ALLOW: _ALLOWED}
        return web.Response(status=405, body=b"Method not allowed", headers=headers)
    why = parts.closed_because()
    if why is not None:
        return _unavailable(why)
    if request.method == hdrs.METH_POST:
        parts.demand.refresh(_KINDS[party], request[WHO])
        said = triggered(party, now_ms=parts.clock.now_ms())
        return web.Response(body=said, headers=_JSON | _NEVER_KEPT)
    return await _read(party, parts, request)


async def _read(party: Party, parts: Parts, request: web.Request) -> web.Response:
    if request.method == hdrs.METH_HEAD and _wants_events(request):
        return web.Response(headers={**sse.HEADERS, **_VARY})
    asked = parts.hub.bodies.asked(party, request.query.get(_FILTERS[party]))
    parts.demand.glance(asked.users, request[WHO])
    since = request.query.get(_SINCE)
    if since is not None:
        return await _changes(asked, since, parts, request)
    return await _snapshot(asked, parts, request)


async def _snapshot(asked: Asked, parts: Parts, request: web.Request) -> web.Response:
    """Answer with what stands in the table, unless the client has just that."""
    hub = parts.hub
    headers: _Headers = {**_VARY, hdrs.CACHE_CONTROL: _KEEPING[asked.party]}
    if (cursor := hub.cursor()) is not None:
        headers[_CURSOR] = cursor
    if (tag := hub.bodies.tag(asked)) is not None:
        headers[hdrs.ETAG] = tag
        if matches(request.headers.get(hdrs.IF_NONE_MATCH), tag):
            return web.Response(status=304, headers=headers)
    body = hub.bodies.body(asked, now_ms=parts.clock.now_ms())
    return await _encoded(body, headers, parts, request)


async def _changes(
    asked: Asked, since: str, parts: Parts, request: web.Request
) -> web.Response:
    """Answer with what changed since a cursor."""
    cursor = parse_cursor(since)
    if cursor is None:
        said = "since is not a cursor: take it from an answer as it is"
        return _mistake("unreadable-cursor", said)
    why = await judged(cursor, parts)
    RESUMES.labels(why.value if why else "recovered").inc()
    body = parts.hub.bodies.since(asked, cursor, why, now_ms=parts.clock.now_ms())
    return await _encoded(body, _VARY | _NEVER_KEPT, parts, request)


async def _encoded(
    body: Body, headers: _Headers, parts: Parts, request: web.Request
) -> web.Response:
    head = body.head
    is_short = len(head.head) < MIN_BYTES
    if is_short or not prefers_gzip(request.headers.get(hdrs.ACCEPT_ENCODING)):
        return web.Response(body=body.json, headers=_JSON | headers)
    if len(head.head) > _LONG_BYTES and not head.is_packed:
        async with parts.packing:
            await asyncio.to_thread(head.pack)
    encoded: _Headers = {hdrs.CONTENT_ENCODING: "gzip"}
    return web.Response(body=body.gzip, headers=_JSON | headers | encoded)


def _wants_events(request: web.Request) -> bool:
    return prefers_events(",".join(request.headers.getall(hdrs.ACCEPT, ())))


def _cors(config: EdgeConfig, origin: str | None) -> _Headers:
    """Return which pages may read the answer, and what of its headers."""
    exposed: _Headers = {hdrs.ACCESS_CONTROL_EXPOSE_HEADERS: _EXPOSED}
    if ANY_ORIGIN in config.origins:
        return {**exposed, hdrs.ACCESS_CONTROL_ALLOW_ORIGIN: ANY_ORIGIN}
    # Caches must not give one origin's answer to another.
    headers: _Headers = {hdrs.VARY: hdrs.ORIGIN}
    if origin is not None and origin in config.origins:
        headers |= {**exposed, hdrs.ACCESS_CONTROL_ALLOW_ORIGIN: origin}
    return headers


def _preflight() -> web.Response:
    return web.Response(
        status=204,
        headers={
            hdrs.ALLOW: _ALLOWED,
            hdrs.ACCESS_CONTROL_ALLOW_METHODS: _ALLOWED,
            hdrs.ACCESS_CONTROL_ALLOW_HEADERS: _MAY_BE_SENT,
            hdrs.ACCESS_CONTROL_MAX_AGE: f"{_PREFLIGHT_S}",
        },
    )


def _mistake(code: str, message: str) -> web.Response:
    said = orjson.dumps({"error": code, "message": message})
    return web.Response(status=400, body=said, headers=_JSON | _NEVER_KEPT)


def _unavailable(why: str) -> web.Response:
    headers = _TEXT | _NEVER_KEPT | {hdrs.RETRY_AFTER: f"{_RETRY_S}"}
    return web.Response(status=503, body=why.encode(), headers=headers)
