"""The two resources, prices and balances: what each method of HTTP gets from them."""

import asyncio
from dataclasses import dataclass

from aiohttp import hdrs, web

from edge import sse, websocket
from edge.answering import judged
from edge.core.bodies import Asked, Body, Everything
from edge.core.cursor import parse_cursor
from edge.core.etags import matches
from edge.core.messages import triggered
from edge.core.negotiation import prefers_events, prefers_gzip
from edge.core.packed import MIN_BYTES
from edge.core.queries import BadQuery, Query, read_query
from edge.core.session import Subscribe
from edge.guard import is_upgrade, unauthorized
from edge.parts import MADE_BYTES, MAY_REFRESH, WHO, Parts
from edge.problems import JSON, NEVER_KEPT, VARY_NEGOTIATED, problem, too_soon
from edge.sending import answer_of
from runtime.metrics import RESUMES
from schemas.demand import RefreshKind
from schemas.wire import Party

METHODS = "GET, HEAD, POST, OPTIONS"
_KINDS: dict[Party, RefreshKind] = {
    "prices": RefreshKind.PRICES,
    "balances": RefreshKind.BALANCES,
}
_LAST_EVENT_ID = "Last-Event-ID"
# Where an answer without ``since`` says how far it is: its body is that of old clients.
_CURSOR = "Feed-Cursor"
# Kept only to be asked about; who holds which balances is no matter of shared caches.
_KEEPING: dict[Party, str] = {"prices": "no-cache", "balances": "private, no-cache"}
_RETRY_S = 1
# What is longer than this is compressed beside the loop.
_LONG_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class PartyResource:
    """One party at one address.

    ``strict``: the address came after the base protocol, so that its parameters are
    checked; clients of the base protocol send what they like.
    """

    party: Party
    parts: Parts
    strict: bool

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Answer a request; a WebSocket is served until it ends."""
        if is_upgrade(request):
            return await self._upgrade(request)
        if request.method == hdrs.METH_POST and not request[MAY_REFRESH]:
            return unauthorized()
        return await self._answer(request)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        events = request.method == hdrs.METH_GET and _wants_events(request)
        query = read_query(
            request.query.items(),
            self.party,
            strict=self.strict,
            events=events,
            most_ids=self.parts.config.allowances.ids_per_message,
        )
        if isinstance(query, BadQuery):
            return problem(400, query.error, query.message, VARY_NEGOTIATED)
        if events:
            return await self._stream(query, request)
        why = self.parts.closed_because()
        if why is not None:
            return _unavailable(why)
        if request.method == hdrs.METH_POST:
            return self._refresh(request)
        return await self._read(query, request)

    async def _upgrade(self, request: web.Request) -> web.StreamResponse:
        why = self.parts.closed_because()
        if why is not None:
            return _unavailable(why)
        return await websocket.serve(request, self.party, self.parts)

    async def _stream(self, query: Query, request: web.Request) -> web.StreamResponse:
        why = self.parts.closed_because()
        if why is not None:
            return await sse.send_away(request, why, self.parts)
        # A page cannot set headers: the query is for its first request, the header for
        # those by which its EventSource comes back.
        since = request.headers.get(_LAST_EVENT_ID) or query.since
        said = Subscribe(query.ids, since=since)
        return await sse.serve(request, self.party, said, self.parts)

    def _refresh(self, request: web.Request) -> web.Response:
        parts = self.parts
        parts.demand.refresh(_KINDS[self.party], request[WHO])
        body = triggered(self.party, now_ms=parts.clock.now_ms())
        return web.Response(body=body, headers={**JSON, **NEVER_KEPT})

    async def _read(self, query: Query, request: web.Request) -> web.StreamResponse:
        if _wants_events(request):  # HEAD: a GET was sent a stream
            return web.Response(headers=sse.HEADERS)
        parts = self.parts
        asked = parts.hub.bodies.asked(self.party, query.ids)
        parts.demand.glance(asked.users, request[WHO])
        if query.since is not None:
            return await self._changes(asked, query.since, request)
        return await self._snapshot(asked, request)

    async def _snapshot(self, asked: Asked, request: web.Request) -> web.StreamResponse:
        """Answer with what stands in the table, unless the client has just that."""
        hub = self.parts.hub
        headers = {**VARY_NEGOTIATED, hdrs.CACHE_CONTROL: _KEEPING[asked.party]}
        if (cursor := hub.cursor()) is not None:
            headers[_CURSOR] = cursor
        if (tag := hub.bodies.tag(asked)) is not None:
            headers[hdrs.ETAG] = tag
            if matches(request.headers.get(hdrs.IF_NONE_MATCH), tag):
                return web.Response(status=304, headers=headers)
        return await self._encoded(await self._body(asked, tag), headers, request)

    async def _body(self, asked: Asked, tag: str | None) -> Body:
        """Make an answer, a long one in turns with whoever else waits for the loop."""
        parts, bodies, clock = self.parts, self.parts.hub.bodies, self.parts.clock
        if len(bodies.shares(asked)) == 1:
            return bodies.body(asked, now_ms=clock.now_ms())
        async with parts.making:
            # The holder of the lock before us may have made the same answer.
            shares, rows = bodies.shares(asked), list[bytes]()
            if len(shares) == 1:
                return bodies.body(asked, now_ms=clock.now_ms())
            now_ms = clock.now_ms()
            for share in shares:
                rows += bodies.rows(asked, share, now_ms=now_ms)
                await clock.sleep(0)
        return bodies.joined(asked, rows, tag, now_ms=now_ms)

    async def _changes(
        self, asked: Asked, since: str, request: web.Request
    ) -> web.StreamResponse:
        """Answer with what changed since a cursor."""
        parts, cursor = self.parts, parse_cursor(since)
        if cursor is None:
            said = "since is not a cursor: take it from an answer as it is"
            return problem(400, "unreadable-cursor", said, VARY_NEGOTIATED)
        why = await judged(cursor, parts)
        RESUMES.labels(why.value if why else "recovered").inc()
        hub, everything = parts.hub, None
        if hub.bodies.tells_everything(asked, cursor, why):
            at = hub.cursor()
            made = await self._body(asked, hub.bodies.tag(asked))
            everything = Everything(made.head, at)
        body = hub.bodies.since(
            asked,
            cursor,
            why,
            now_ms=parts.clock.now_ms(),
            everything=everything,
        )
        return await self._encoded(body, {**VARY_NEGOTIATED, **NEVER_KEPT}, request)

    async def _encoded(
        self, body: Body, headers: dict[str, str], request: web.Request
    ) -> web.StreamResponse:
        head = body.head
        request[MADE_BYTES] = body.size_bytes
        is_short = len(head.head) < MIN_BYTES
        if is_short or not prefers_gzip(request.headers.get(hdrs.ACCEPT_ENCODING)):
            return answer_of(body.pieces(), {**JSON, **headers})
        if len(head.head) > _LONG_BYTES and not head.is_packed:
            async with self.parts.packing:
                await asyncio.to_thread(head.pack)
        encoded: dict[str, str] = {hdrs.CONTENT_ENCODING: "gzip"}
        return answer_of(body.pieces(gzip=True), {**JSON, **headers, **encoded})


def _wants_events(request: web.Request) -> bool:
    return prefers_events(",".join(request.headers.getall(hdrs.ACCEPT, ())))


def _unavailable(why: str) -> web.Response:
    return too_soon(503, "unavailable", why, retry_s=_RETRY_S)
