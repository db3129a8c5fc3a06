"""Bodies of requests: the edge has no use for one, and none may cost it anything.

A body is never inflated and never kept. A short one that comes with its request is thrown
away, and the connection stays. Of any other nothing more is read: the request is answered,
and the connection ends. While data that nobody has read lies in the kernel, closing a socket
resets the connection and the client may never see the answer. So our side is shut first;
then what still comes is thrown away, within bounds, until the client has gone too.
"""

import asyncio
from contextlib import suppress

from aiohttp import hdrs, web

from edge.waiting import sleep_or
from runtime.clock import Clock

# A body as long as this is waited for, so that the connection can be used again.
_SHORT_BYTES = 65_536
# At most this much of a longer one is thrown away, for at most this long.
_REST_BYTES, _REST_S = 262_144, 1.0


async def expects_nothing(request: web.Request) -> None:
    """Let whoever asks before it sends a body (``Expect``) wait for the answer alone."""


def still_sends(request: web.Request) -> bool:
    """Tell whether more of a body may come than is worth waiting for."""
    if not request.can_read_body or request.content.is_eof():
        return False
    declared = request.content_length
    is_asked_first = hdrs.EXPECT in request.headers
    return declared is None or declared > _SHORT_BYTES or is_asked_first


async def see_off(
    request: web.Request, answer: web.StreamResponse, clock: Clock
) -> None:
    """Send the answer to a request whose body is still to come, and end the connection."""
    with suppress(ConnectionError):
        await answer.prepare(request)
        await answer.write_eof()
        if (transport := request.transport) is not None:
            await read_out(transport, clock)
    # So that aiohttp too reads nothing more.
    request.protocol.force_close()


async def read_out(transport: asyncio.Transport, clock: Clock) -> None:
    """End a connection on which an answer was sent before all of a request was read."""
    rest = _Rest(transport)
    await sleep_or(clock, _REST_S, rest.ended)
    transport.abort()


class _Rest(asyncio.Protocol):
    """Shuts our side of a connection and throws away what comes on the other.

    ``ended`` is set when the client has gone, or has sent more than it is worth.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self.ended = asyncio.Event()
        self._bytes = 0
        self._before: asyncio.BaseProtocol = transport.get_protocol()
        transport.set_protocol(self)
        if not transport.is_reading():
            transport.resume_reading()
        if transport.can_write_eof():
            transport.write_eof()

    def data_received(self, data: bytes) -> None:
        self._bytes += len(data)
        if self._bytes > _REST_BYTES:
            self.ended.set()

    def eof_received(self) -> None:
        self.ended.set()

    def pause_writing(self) -> None:
        self._before.pause_writing()

    def resume_writing(self) -> None:
        self._before.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._before.connection_lost(exc)
        self.ended.set()
