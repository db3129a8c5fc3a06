"""One WebSocket: what the client says goes to the hub, what the hub says to the client."""

import asyncio
import itertools
import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, cast

from aiohttp import HttpVersion11, hdrs, web

from edge.answering import carry_out
from edge.clients import Client, limit_unsent
from edge.core.deflated import AGREED, is_offered
from edge.core.forms import BASE, Form
from edge.core.frames import close_frame, pong_frame
from edge.core.hub import ClientId
from edge.core.limits import Conduct
from edge.core.protocol import (
    VERSION,
    Broken,
    Close,
    Event,
    Message,
    Ping,
    Receiver,
    accept_key,
)
from edge.core.session import (
    TOO_MANY_BYTES,
    TOO_MANY_ERRORS,
    TOO_MANY_MESSAGES,
    Refused,
    Subscribe,
    parse,
)
from edge.parts import MAY_REFRESH, WHO, Parts
from edge.problems import problem
from edge.waiting import sleep_or
from runtime.clock import Clock
from runtime.metrics import CLIENT_MESSAGES, CLOSED, REFUSED
from schemas.wire import Party

_logger = logging.getLogger("edge.websocket")
_POLICY_VIOLATION = 1008
# How long a client has to answer a close frame.
_CLOSE_S = 5.0
# How long, and how much, of what a client still sends is thrown away after it was told
# what is wrong, before the connection is cut.
_REST_S = 2.0
_REST_BYTES = 16 * 1_048_576
# At most about this much is read ahead of a client whose messages wait for their turn.
_INBOX_BYTES = 65_536
# Headers that a handshake has no more than one of (RFC 6455, 11.3).
_ONCE = (hdrs.SEC_WEBSOCKET_KEY, hdrs.SEC_WEBSOCKET_VERSION)
_ids = itertools.count(1)
_HEARD = {str: CLIENT_MESSAGES.labels("text"), bytes: CLIENT_MESSAGES.labels("binary")}


async def serve(request: web.Request, party: Party, parts: Parts) -> web.StreamResponse:
    """Serve one client until it leaves or is dropped."""
    headers = _handshake(request, deflate=parts.config.deflate)
    if isinstance(headers, web.Response):
        return headers
    upgraded = Upgraded(headers)
    await upgraded.prepare(request)
    transport = request.transport
    if transport is None:  # gone already
        return upgraded
    limit_unsent(transport, parts.config.unsent_bytes)
    receiver = Receiver(
        limit_bytes=parts.config.message_bytes, deflate=upgraded.is_packed
    )
    socket = _Socket(transport, receiver)
    client = Client(
        ClientId(next(_ids)),
        party,
        socket,
        transport,
        request.writer.drain,
        who=request[WHO],
    )
    socket.heard = client.pulse.heard
    socket.before_close = partial(parts.clients.mute, client.id)
    # Also what came before we were ready is handed on to it.
    request.protocol.set_parser(cast("Any", socket))
    form = BASE._replace(packed=upgraded.is_packed)
    conversation = _Conversation(socket, client, form, parts)
    await conversation.run(may_refresh=request[MAY_REFRESH])
    await socket.end(parts.clock)
    return upgraded


def _handshake(request: web.Request, *, deflate: bool) -> dict[str, str] | web.Response:
    """Return the headers that accept an upgrade, or the answer that refuses it."""
    asked = request.headers
    accepted = accept_key(asked.get(hdrs.SEC_WEBSOCKET_KEY, ""))
    wrong = _what_is_wrong(request)
    if wrong is None and accepted is None:
        wrong = "Sec-WebSocket-Key is not 16 bytes in base64"
    if wrong is not None or accepted is None:
        return problem(400, "bad-request", f"{wrong}")
    if asked.get(hdrs.SEC_WEBSOCKET_VERSION, "").strip() != VERSION:
        said = f"only version {VERSION} of WebSocket is spoken"
        spoken: dict[str, str] = {hdrs.SEC_WEBSOCKET_VERSION: VERSION}
        return problem(426, "bad-request", said, spoken)
    headers: dict[str, str] = {
        hdrs.UPGRADE: "websocket",
        hdrs.CONNECTION: "Upgrade",
        hdrs.SEC_WEBSOCKET_ACCEPT: accepted,
    }
    offers = ",".join(asked.getall(hdrs.SEC_WEBSOCKET_EXTENSIONS, ()))
    if deflate and is_offered(offers):
        headers[hdrs.SEC_WEBSOCKET_EXTENSIONS] = AGREED
    return headers


def _what_is_wrong(request: web.Request) -> str | None:
    """Return what makes a request no handshake, whatever its key and version are."""
    if request.version < HttpVersion11:
        return "an upgrade needs HTTP/1.1"
    connection = ",".join(request.headers.getall(hdrs.CONNECTION, ())).lower()
    if "upgrade" not in map(str.strip, connection.split(",")):
        return "an upgrade needs Connection: Upgrade"
    for once in _ONCE:
        if len(request.headers.getall(once, ())) > 1:
            return f"{once} stands more than once"
    return None


class Upgraded(web.StreamResponse):
    """The answer that turns a connection into a WebSocket; it has no body and no end."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        super().__init__(status=101, headers=headers)
        self.force_close()
        # Whether messages may be compressed.
        self.is_packed = hdrs.SEC_WEBSOCKET_EXTENSIONS in headers

    async def write_eof(self, data: bytes = b"") -> None:
        """Write nothing: whatever follows the head is frames."""
        del data


class _Socket:
    """One connection from the handshake on: bytes in, close frames out, and the end.

    aiohttp hands it what comes, as it does to parsers of its own (``feed_data``,
    ``feed_eof``). While much of that waits, the connection is not read. Nothing may follow
    a close frame, so ``before_close`` is called first.
    """

    def __init__(self, transport: asyncio.Transport, receiver: Receiver) -> None:
        self._transport, self._receiver = transport, receiver
        self._arrived, self._lost = asyncio.Event(), asyncio.Event()
        self._is_full = self._must_be_read_out = False
        # Bytes thrown away so far; ``None`` while input is still read.
        self._rest_bytes: int | None = None
        self.closed = False
        self.heard: Callable[[], None] | None = None
        self.before_close: Callable[[], None] | None = None

    # ---- what comes

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        """Take in bytes; called by aiohttp."""
        if self.heard is not None:
            self.heard()
        if self._rest_bytes is not None:
            self._rest_bytes += len(data)
            if self._rest_bytes > _REST_BYTES:
                self._transport.abort()
            return False, b""
        self._receiver.feed(data)
        if self._receiver.buffered_bytes > _INBOX_BYTES and not self._is_full:
            self._is_full = True
            self._transport.pause_reading()
        self._arrived.set()
        return False, b""

    def feed_eof(self) -> None:
        """Note that the connection is lost; called by aiohttp."""
        self._lost.set()
        self._arrived.set()

    async def next(self) -> Event | None:
        """Return what the client says next; ``None`` when it is gone."""
        while True:
            event = self._receiver.next()
            if event is None or self._receiver.buffered_bytes <= _INBOX_BYTES:
                self._read_on()
            if event is not None or self._lost.is_set():
                return event
            self._arrived.clear()
            await self._arrived.wait()

    def _read_on(self) -> None:
        if self._is_full:
            self._is_full = False
            self._transport.resume_reading()

    # ---- the end

    async def close(self, *, code: int, message: bytes) -> bool:
        """Send a close frame; return when the client has left or has had its time."""
        if not self.say_close(code, message.decode()):
            return False
        self._receiver.expect_close()
        try:
            async with asyncio.timeout(_CLOSE_S):
                await self._lost.wait()
        except TimeoutError:
            self._transport.abort()
        return True

    def say_close(self, code: int, reason: str, *, reads_out: bool = False) -> bool:
        """Send a close frame, unless one was sent.

        With ``reads_out`` the client cannot be heard any more and may not see the frame at
        once: ``end`` makes sure that it can.
        """
        self._must_be_read_out |= reads_out
        if self.closed:
            return False
        if self.before_close is not None:
            self.before_close()
        self.closed = True
        self._transport.write(close_frame(code, reason))
        return True

    async def end(self, clock: Clock) -> None:
        """End the connection.

        While data that nobody has read lies in the kernel, closing the socket resets the
        connection, and the client may never see the close frame, nor the answers before
        it. So only our side is shut at first, then what still comes is thrown away.
        """
        self.heard = self.before_close = None
        transport = self._transport
        if self._must_be_read_out and not transport.is_closing():
            self._rest_bytes = 0
            self._read_on()
            if transport.can_write_eof():
                transport.write_eof()
            await sleep_or(clock, _REST_S, self._lost)
            if not transport.is_closing():
                transport.abort()
        transport.close()


class _Conversation:
    """One client's messages, one after the other, each with its answer."""

    def __init__(
        self, socket: _Socket, client: Client, form: Form, parts: Parts
    ) -> None:
        self._socket, self._client, self._parts = socket, client, parts
        self._form = form
        allowed = parts.config.allowances
        self._conduct = Conduct(
            allowed.messages, allowed.errors, now_s=parts.clock.monotonic_s()
        )

    async def run(self, *, may_refresh: bool) -> None:
        """Greet the client, then hear it to the end, as one of the edge's clients."""
        client, parts = self._client, self._parts
        parts.clients.add(client)
        try:
            await self._run(may_refresh=may_refresh)
        except ConnectionError as error:
            _logger.debug("connection lost", extra={"why": str(error)})
        finally:
            parts.clients.remove(client)
            parts.demand.unwatch(parts.hub.disconnect(client.id).unwatch)

    async def _run(self, *, may_refresh: bool) -> None:
        """Raise ``ConnectionError`` when the client is gone in the middle of an answer."""
        client, parts = self._client, self._parts
        greeting = parts.hub.connect(
            client.id,
            client.party,
            form=self._form,
            now_ms=parts.clock.now_ms(),
            may_refresh=may_refresh,
        )
        await carry_out(greeting, client, parts)
        while (event := await self._socket.next()) is not None:
            if not await self._hear(event):
                return
            # Messages already read come without a wait: the others must have their turn.
            await parts.clock.sleep(0)

    async def _hear(self, event: Event) -> bool:
        """Take in what a client says; tell whether more may follow."""
        if isinstance(event, Close):
            self._socket.say_close(event.reply, "")
            return False
        if isinstance(event, Broken):
            self._socket.say_close(event.code, event.reason, reads_out=True)
            return False
        # Everything else costs an answer, or at least a turn: all count as messages.
        if not self._conduct.speaks(now_s=self._now_s()):
            return await self._dismiss(TOO_MANY_MESSAGES)
        if isinstance(event, Message):
            _HEARD[type(event.data)].inc()
            return await self._receive(event.data)
        if isinstance(event, Ping):
            await self._parts.clients.answer(self._client, [pong_frame(event.payload)])
        return True

    async def _receive(self, said: str | bytes) -> bool:
        parts, client = self._parts, self._client
        parts.clients.catch_up(client.id)
        meant = parse(said, client.party)
        if isinstance(meant, Subscribe) and parts.spent_out_s(client.who) > 0:
            return await self._dismiss(TOO_MANY_BYTES)
        effects = parts.hub.handle(client.id, meant, now_ms=parts.clock.now_ms())
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
        self._socket.say_close(_POLICY_VIOLATION, why.message.lower(), reads_out=True)
        return False

    def _now_s(self) -> float:
        return self._parts.clock.monotonic_s()
