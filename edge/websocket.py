"""One WebSocket: what the client says goes to the hub, what the hub says to the client."""

import itertools
import logging
from collections.abc import Callable
from functools import partial

from aiohttp import WSCloseCode, WSMessage, WSMsgType, web

from edge.answering import carry_out
from edge.clients import Client, limit_unsent
from edge.core.hub import ClientId
from edge.parts import Parts
from runtime.metrics import CLIENT_MESSAGES
from schemas.wire import Party

_logger = logging.getLogger("edge.websocket")
_CLOSE_S = 5.0
_ids = itertools.count(1)


async def serve(
    request: web.Request, party: Party, parts: Parts
) -> web.WebSocketResponse:
    """Serve one client until it leaves or is dropped."""
    accepted = _Socket(
        compress=False,
        autoping=False,
        timeout=_CLOSE_S,
        # aiohttp refuses what is as long as its limit.
        max_msg_size=parts.config.message_bytes + 1,
    )
    await accepted.prepare(request)
    if request.transport is None:  # gone already
        return accepted
    limit_unsent(request.transport, parts.config.unsent_bytes)
    client = Client(
        ClientId(next(_ids)), party, accepted, request.transport, request.writer.drain
    )
    parts.clients.add(client)
    accepted.before_close = partial(parts.clients.mute, client.id)
    try:
        await _Conversation(accepted, client, parts).run()
    except ConnectionError as error:
        _logger.debug("connection lost", extra={"why": str(error)})
    finally:
        parts.clients.remove(client)
        parts.demand.unwatch(parts.hub.disconnect(client.id).unwatch)
    return accepted


class _Socket(web.WebSocketResponse):
    """Tells before it sends a close frame, whoever closes: nothing may follow one."""

    before_close: Callable[[], None] | None = None

    async def close(
        self, *, code: int = WSCloseCode.OK, message: bytes = b"", drain: bool = True
    ) -> bool:
        if self.before_close is not None:
            self.before_close()
        return await super().close(code=code, message=message, drain=drain)


class _Conversation:
    """One client's messages, one after the other, each with its answer."""

    def __init__(
        self, accepted: web.WebSocketResponse, client: Client, parts: Parts
    ) -> None:
        self._socket, self._client, self._parts = accepted, client, parts

    async def run(self) -> None:
        """Greet the client, then hear it to the end.

        Raises ``ConnectionError`` when it is gone in the middle of an answer.
        """
        client, parts = self._client, self._parts
        greeting = parts.hub.connect(
            client.id, client.party, now_ms=parts.clock.now_ms()
        )
        await carry_out(greeting, client, parts)
        while await self._hear(await self._socket.receive()):
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
                await self._socket.pong(message.data)
            case WSMsgType.PONG:
                pass
            case _:
                return False
        return True

    async def _receive(self, said: str | bytes) -> None:
        parts, client = self._parts, self._client
        parts.clients.catch_up(client.id)
        effects = parts.hub.receive(client.id, said, now_ms=parts.clock.now_ms())
        await carry_out(effects, client, parts)
