"""One WebSocket: what the client says goes to the hub, what the hub says to the client."""

import asyncio
import itertools
import logging
import zlib
from collections.abc import Callable
from functools import partial

from aiohttp import WSCloseCode, WSMessage, WSMsgType, hdrs, web
from multidict import CIMultiDict

from edge.answering import carry_out
from edge.clients import Client, limit_unsent
from edge.core.deflated import AGREED, WINDOW_BITS
from edge.core.forms import BASE
from edge.core.hub import ClientId
from edge.core.limits import Conduct
from edge.core.session import TOO_MANY_ERRORS, TOO_MANY_MESSAGES, Refused
from edge.parts import MAY_REFRESH, WHO, Parts
from edge.waiting import sleep_or
from runtime.clock import Clock
from runtime.metrics import CLIENT_MESSAGES, CLOSED, REFUSED
from schemas.wire import Party

_logger = logging.getLogger("edge.websocket")
_CLOSE_S = 5.0
# How long what a client still sends is read to its end, after it was told what is wrong.
_REST_S = 2.0
# Nothing more of the client can be made out.
_BROKEN = frozenset(
    {
        WSCloseCode.PROTOCOL_ERROR,
        WSCloseCode.INVALID_TEXT,
        WSCloseCode.MESSAGE_TOO_BIG,
    }
)
_ids = itertools.count(1)
_HEARD = {
    kind: CLIENT_MESSAGES.labels(kind.name.lower())
    for kind in (WSMsgType.TEXT, WSMsgType.BINARY)
}
# Each costs an answer, or at least a turn: all count as messages.
_SPOKEN = frozenset((WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.PING, WSMsgType.PONG))


async def serve(
    request: web.Request, party: Party, parts: Parts
) -> web.WebSocketResponse:
    """Serve one client until it leaves or is dropped."""
    most_bytes = parts.config.message_bytes
    accepted = _Socket(
        compress=parts.config.deflate,
        autoping=False,
        timeout=_CLOSE_S,
        # aiohttp refuses what is as long as its limit; 0 is none.
        max_msg_size=most_bytes + 1 if most_bytes else 0,
    )
    await accepted.prepare(request)
    if request.transport is None:  # gone already
        return accepted
    limit_unsent(request.transport, parts.config.unsent_bytes)
    client = Client(
        ClientId(next(_ids)),
        party,
        accepted,
        request.transport,
        request.writer.drain,
        who=request[WHO],
    )
    parts.clients.add(client)
    accepted.before_close = partial(parts.clients.mute, client.id)
    try:
        conversation = _Conversation(accepted, client, parts)
        await conversation.run(may_refresh=request[MAY_REFRESH])
    except ConnectionError as error:
        _logger.debug("connection lost", extra={"why": str(error)})
    finally:
        parts.clients.remove(client)
        parts.demand.unwatch(parts.hub.disconnect(client.id).unwatch)
    await accepted.read_out(parts.clock)
    accepted.untie()
    return accepted


class _Socket(web.WebSocketResponse):
    """Tells before it sends a close frame, whoever closes: nothing may follow one.

    A client whose bytes cannot be read is left in two steps. While data that nobody has
    read lies in the kernel, closing the socket resets the connection, and the client may
    never see the close frame, nor the answers before it. So only our side is shut at
    first (``_close_transport`` is what aiohttp ends a connection with), then what still
    comes is thrown away.
    """

    before_close: Callable[[], None] | None = None
    # Whether long messages go compressed.
    packs = False
    _rest: "_Rest | None" = None
    _is_broken = False

    async def close(
        self, *, code: int = WSCloseCode.OK, message: bytes = b"", drain: bool = True
    ) -> bool:
        if self.before_close is not None:
            self.before_close()
        if isinstance(self._exception, zlib.error):
            code = WSCloseCode.INVALID_TEXT
        self._is_broken |= code in _BROKEN
        return await super().close(code=code, message=message, drain=drain)

    def _handshake(
        self, request: web.BaseRequest
    ) -> "tuple[CIMultiDict[str], str | None, int, bool]":
        """Take an offer of compression if its window has room for ours.

        ``window_bits`` is what the client takes at most; 0 is no offer, or none that
        aiohttp could take.
        """
        headers, protocol, window_bits, _ = super()._handshake(request)
        self.packs = window_bits >= WINDOW_BITS
        headers.pop(hdrs.SEC_WEBSOCKET_EXTENSIONS, None)
        if self.packs:
            headers[hdrs.SEC_WEBSOCKET_EXTENSIONS] = AGREED
        return headers, protocol, window_bits if self.packs else 0, True

    async def read_out(self, clock: Clock) -> None:
        """Wait for the end of a client that cannot be read, then end it."""
        if self._rest is not None:
            await sleep_or(clock, _REST_S, self._rest.ended)
            self._rest.transport.abort()

    def untie(self) -> None:
        """Let go of where it failed: those frames hold it, and it would never be freed.

        Not before the collector looks, that is: after thousands were lost at once, for as
        long as half a second.
        """
        error = self.exception()
        while error is not None:
            error.__traceback__ = None
            error = error.__context__

    def _close_transport(self) -> None:
        transport = self._req.transport if self._req is not None else None
        if not self._is_broken or transport is None or not transport.can_write_eof():
            super()._close_transport()
        elif self._rest is None and not transport.is_closing():
            self._rest = _Rest(transport)


class _Rest(asyncio.Protocol):
    """Shuts our side of a connection; ``ended`` is set when the other has gone too."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self.transport, self.ended = transport, asyncio.Event()
        self._before: asyncio.BaseProtocol = transport.get_protocol()
        transport.set_protocol(self)
        if not transport.is_reading():
            transport.resume_reading()
        transport.write_eof()

    def pause_writing(self) -> None:
        self._before.pause_writing()

    def resume_writing(self) -> None:
        self._before.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._before.connection_lost(exc)
        self.ended.set()


class _Conversation:
    """One client's messages, one after the other, each with its answer."""

    def __init__(self, accepted: _Socket, client: Client, parts: Parts) -> None:
        self._socket, self._client, self._parts = accepted, client, parts
        allowed = parts.config.allowances
        self._conduct = Conduct(
            allowed.messages, allowed.errors, now_s=parts.clock.monotonic_s()
        )

    async def run(self, *, may_refresh: bool) -> None:
        """Greet the client, then hear it to the end.

        Raises ``ConnectionError`` when it is gone in the middle of an answer.
        """
        client, parts = self._client, self._parts
        greeting = parts.hub.connect(
            client.id,
            client.party,
            form=BASE._replace(packed=self._socket.packs),
            now_ms=parts.clock.now_ms(),
            may_refresh=may_refresh,
        )
        await carry_out(greeting, client, parts)
        while await self._hear(await self._socket.receive()):
            # Messages already read come without a wait: the others must have their turn.
            await parts.clock.sleep(0)

    async def _hear(self, message: WSMessage) -> bool:
        """Take in one message; tell whether more may follow."""
        self._client.pulse.heard()
        if message.type in _SPOKEN and not self._conduct.speaks(now_s=self._now_s()):
            return await self._dismiss(TOO_MANY_MESSAGES)
        match message.type:
            case WSMsgType.TEXT | WSMsgType.BINARY:
                _HEARD[message.type].inc()
                return await self._receive(message.data)
            case WSMsgType.PING:
                await self._socket.pong(message.data)
            case WSMsgType.PONG:
                pass
            case _:
                return False
        return True

    async def _receive(self, said: str | bytes) -> bool:
        parts, client = self._parts, self._client
        parts.clients.catch_up(client.id)
        effects = parts.hub.receive(client.id, said, now_ms=parts.clock.now_ms())
        await carry_out(effects, client, parts)
        if effects.error is None:
            return True
        REFUSED.labels(effects.error).inc()
        if self._conduct.errs(now_s=self._now_s()):
            return True
        return await self._dismiss(TOO_MANY_ERRORS)

    async def _dismiss(self, why: Refused) -> bool:
        """Tell a client that it went too far, and close."""
        parts, client = self._parts, self._client
        parts.clients.catch_up(client.id)
        effects = parts.hub.handle(client.id, why, now_ms=parts.clock.now_ms())
        await carry_out(effects, client, parts)
        REFUSED.labels(why.code).inc()
        CLOSED.labels(why.code).inc()
        await self._socket.close(
            code=WSCloseCode.POLICY_VIOLATION, message=why.message.lower().encode()
        )
        return False

    def _now_s(self) -> float:
        return self._parts.clock.monotonic_s()
