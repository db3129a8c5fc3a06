"""One WebSocket: what the client says goes to the hub, what the hub says to the client."""

import asyncio
import itertools
import logging
import socket

from aiohttp import WSMessage, WSMsgType, web

from edge.clients import Client
from edge.core.hub import ClientId, Effects
from edge.parts import Parts
from runtime.metrics import CLIENT_MESSAGES
from schemas.wire import Party

_logger = logging.getLogger("edge.websocket")
# Without it the kernel hides megabytes that a client does not read.
_UNSENT_BYTES = 128 * 1_024
_CLOSE_S = 5.0
_ids = itertools.count(1)


async def serve(
    request: web.Request, party: Party, parts: Parts
) -> web.WebSocketResponse:
    """Serve one client until it leaves or is dropped."""
    accepted = web.WebSocketResponse(
        compress=False,
        autoping=False,
        timeout=_CLOSE_S,
        # aiohttp refuses what is as long as its limit.
        max_msg_size=parts.config.message_bytes + 1,
    )
    await accepted.prepare(request)
    if request.transport is None:  # gone already
        return accepted
    _limit_unsent(request.transport)
    client = Client(ClientId(next(_ids)), party, accepted, request.transport)
    parts.clients.add(client)
    try:
        await _Conversation(client, request, parts).run()
    except ConnectionError as error:
        _logger.debug("connection lost", extra={"why": str(error)})
    finally:
        parts.clients.remove(client)
        parts.demand.unwatch(parts.hub.disconnect(client.id).unwatch)
    return accepted


class _Conversation:
    """One client's messages, one after the other, each with its answer."""

    def __init__(self, client: Client, request: web.Request, parts: Parts) -> None:
        self._client, self._request, self._parts = client, request, parts

    async def run(self) -> None:
        """Greet the client, then hear it to the end.

        Raises ``ConnectionError`` when it is gone in the middle of an answer.
        """
        client, parts = self._client, self._parts
        greeting = parts.hub.connect(
            client.id, client.party, now_ms=parts.clock.now_ms()
        )
        await self._answer(greeting)
        while await self._hear(await client.socket.receive()):
            # Messages already read come without a wait: the others must have their turn.
            await parts.clock.sleep(0)

    async def _hear(self, message: WSMessage) -> bool:
        """Take in one message; tell whether more may follow."""
        self._client.pulse.heard()
        match message.type:
            case WSMsgType.TEXT | WSMsgType.BINARY:
                CLIENT_MESSAGES.labels(message.type.name.lower()).inc()
                await self._receive(message.data)
            case WSMsgType.PING:
                await self._client.socket.pong(message.data)
            case WSMsgType.PONG:
                pass
            case _:
                return False
        return True

    async def _receive(self, said: str | bytes) -> None:
        parts = self._parts
        parts.clients.catch_up(self._client.id)
        now_ms = parts.clock.now_ms()
        await self._answer(parts.hub.receive(self._client.id, said, now_ms=now_ms))

    async def _answer(self, effects: Effects) -> None:
        """Do what is to be done; write each frame when the one before has drained."""
        clients, demand = self._parts.clients, self._parts.demand
        demand.watch(effects.watch)
        demand.unwatch(effects.unwatch)
        if effects.refresh is not None:
            demand.refresh(effects.refresh)
        for frames in effects.frames:
            clients.send(self._client, frames)
            await self._request.writer.drain()
            if not self._client.is_open:
                return
            # Who reads is alive, though its pongs wait behind this answer.
            self._client.pulse.heard()
            clients.catch_up(self._client.id)


def _limit_unsent(transport: asyncio.Transport) -> None:
    """Bound what the kernel takes of a client beyond what is on its way."""
    option = getattr(socket, "TCP_NOTSENT_LOWAT", None)  # not on every system
    accepted = transport.get_extra_info("socket")
    if accepted is not None and option is not None:
        accepted.setsockopt(socket.IPPROTO_TCP, option, _UNSENT_BYTES)
