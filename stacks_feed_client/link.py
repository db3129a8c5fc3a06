"""The WebSocket itself: the only place that knows the library for it."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, field
from ssl import SSLContext
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_websocket
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from stacks_feed_client.core.itinerary import retry_after_s
from stacks_feed_client.core.machine import Lost

# What an attempt to connect may raise; all of it may be over the next time.
TROUBLE = (OSError, TimeoutError, WebSocketException)
_CLOSE_S = 1.0
# Of what a server says instead of opening a WebSocket.
_SHOWN_BYTES = 200


@dataclass(frozen=True, slots=True)
class LinkOptions:
    """How to connect: headers beside the usual ones, TLS other than the usual, limits.

    Servers of the base protocol send all they have in one message: ``message_bytes`` is
    the longest that is taken.
    """

    headers: Mapping[str, str] = field(default_factory=dict)
    ssl: SSLContext | None = None
    message_bytes: int = 16 * 2**20
    open_s: float = 10.0


class Link:
    """One open WebSocket."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    async def texts(self) -> AsyncIterator[str | bytes]:
        """Yield every message; end when the connection does, in whatever way."""
        with suppress(ConnectionClosed):
            async for said in self._socket:
                yield said

    async def send(self, said: str) -> bool:
        """Send a message; ``False`` when the connection is gone."""
        try:
            await self._socket.send(said)
        except ConnectionClosed:
            return False
        return True

    @property
    def end(self) -> Lost:
        """How the connection ended."""
        code, reason = self._socket.close_code, self._socket.close_reason
        said = f" ({reason})" if reason else ""
        return Lost(f"closed with {code}{said}", code=code)


def opened(
    url: str, options: LinkOptions
) -> AbstractAsyncContextManager[ClientConnection]:
    """Open a WebSocket; raises what is in ``TROUBLE``.

    Without compression: it costs every server memory and joins badly with shared messages.
    """
    tls: dict[str, Any] = {} if options.ssl is None else {"ssl": options.ssl}
    return open_websocket(
        url,
        additional_headers=dict(options.headers),
        compression=None,
        open_timeout=options.open_s,
        close_timeout=_CLOSE_S,
        max_size=options.message_bytes,
        **tls,
    )


def lost_because(error: Exception) -> Lost:
    """Say why there was no connection."""
    if isinstance(error, InvalidStatus):
        response = error.response
        wait_s = retry_after_s(
            response.headers.get("Retry-After"), date=response.headers.get("Date")
        )
        body = (response.body or b"")[:_SHOWN_BYTES].decode(errors="replace").strip()
        said = f": {body}" if body else ""
        why = f"HTTP {response.status_code} {response.reason_phrase}{said}"
        return Lost(why, status=response.status_code, retry_after_s=wait_s)
    return Lost(f"{error}" or type(error).__name__)
