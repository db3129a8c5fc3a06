"""One stream of server-sent events: the hub's messages to a client that only listens."""

import asyncio
import itertools
import logging
from collections.abc import Mapping

from aiohttp import hdrs, web

from edge.answering import carry_out
from edge.clients import Client, limit_unsent
from edge.core.events import remark, retry
from edge.core.forms import EVENTS
from edge.core.hub import ClientId
from edge.core.session import Subscribe
from edge.door import has_ended, is_tls
from edge.parts import WHO, Parts
from edge.problems import VARY_NEGOTIATED
from schemas.wire import Party

_logger = logging.getLogger("edge.sse")
# Apart from those of WebSockets, which count up.
_ids = itertools.count(-1, step=-1)

HEADERS: Mapping[str, str] = {
    hdrs.CONTENT_TYPE: "text/event-stream",
    # A cache must not replay an old stream. Proxies that compress collect what they pass
    # on, unless they are told not to transform it.
    hdrs.CACHE_CONTROL: "no-store, no-transform",
    # Some proxies collect what they pass on, unless they are told.
    "X-Accel-Buffering": "no",
    **VARY_NEGOTIATED,
}


class Stream(web.StreamResponse):
    """An answer that ends where the connection does, in every version of HTTP.

    So its bytes are the same for all who read it, without the lengths of chunks.
    """

    _length_check = False

    def __init__(self) -> None:
        super().__init__(headers=HEADERS)
        self.force_close()


async def serve(
    request: web.Request, party: Party, said: Subscribe, parts: Parts
) -> web.StreamResponse:
    """Serve one client until it leaves or is dropped."""
    stream = Stream()
    await stream.prepare(request)
    transport = request.transport
    if transport is None:  # gone already
        return stream
    line = _Line(request.protocol, ends=has_ended(request), is_tls=is_tls(transport))
    transport.set_protocol(line)
    limit_unsent(transport, parts.config.unsent_bytes)
    client = Client(
        ClientId(next(_ids)),
        party,
        _Ending(transport),
        transport,
        line.drained,
        listens_only=True,
        who=request[WHO],
    )
    parts.clients.add(client)
    try:
        await _speak(client, said, parts)
        # Whoever leaves ends its side first. One that has sent all it will send, and
        # reads on, has what there is by now.
        await line.ended.wait()
    except ConnectionError as error:
        _logger.debug("connection lost", extra={"why": str(error)})
    finally:
        parts.clients.remove(client)
        parts.demand.unwatch(parts.hub.disconnect(client.id).unwatch)
    return stream


async def send_away(request: web.Request, why: str, parts: Parts) -> web.StreamResponse:
    """Have a client come back later.

    After any status but 200 an ``EventSource`` would never come back.
    """
    stream = Stream()
    await stream.prepare(request)
    await stream.write(retry(draw=parts.draw()) + b"\n" + remark(why))
    await stream.write_eof()
    return stream


async def _speak(client: Client, said: Subscribe, parts: Parts) -> None:
    hub, clock = parts.hub, parts.clock
    greeting = hub.connect(
        client.id, client.party, form=EVENTS, now_ms=clock.now_ms()
    ).frames
    # In the block of the first message: some readers take a block without data for an
    # event with empty data.
    first = retry(draw=parts.draw()) + b"".join(greeting)
    parts.spend(client.who, len(first))
    await parts.clients.answer(client, [first])
    effects = hub.handle(client.id, said, now_ms=clock.now_ms())
    await carry_out(effects, client, parts)


class _Line(asyncio.Protocol):
    """A connection on which the other side has nothing more to say.

    It is taken over from the server, which would keep what comes after the request.
    ``ended`` is set when the other side has ended the connection, or its half of it.
    """

    def __init__(
        self, before: asyncio.BaseProtocol, *, ends: bool, is_tls: bool
    ) -> None:
        self._before, self._is_tls = before, is_tls
        self.lost, self.ended = asyncio.Event(), asyncio.Event()
        if ends:
            self.ended.set()
        self._has_room = asyncio.Event()
        self._has_room.set()

    def pause_writing(self) -> None:
        self._has_room.clear()

    def resume_writing(self) -> None:
        self._has_room.set()

    def eof_received(self) -> bool | None:
        self.ended.set()
        # Until the first messages are written; half of a TLS connection cannot be kept.
        return None if self._is_tls else True

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set()
        self.ended.set()
        self._has_room.set()
        self._before.connection_lost(exc)

    async def drained(self) -> None:
        """Wait until the socket takes more; ``ConnectionError`` when it is gone."""
        await self._has_room.wait()
        if self.lost.is_set():
            raise ConnectionResetError("the reader is gone")


class _Ending:
    """How a stream is closed: what was written is sent, and that is the end."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    @property
    def closed(self) -> bool:
        return self._transport.is_closing()

    async def close(self, *, code: int, message: bytes) -> bool:
        del code, message
        self._transport.close()
        return True
