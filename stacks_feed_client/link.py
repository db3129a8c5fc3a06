"""The WebSocket itself: the only place that knows the library for it."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from ssl import SSLContext
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_websocket
from websockets.exceptions import (
    ConnectionClosed,
    InvalidProxy,
    InvalidStatus,
    InvalidURI,
    WebSocketException,
)
from websockets.frames import Close
from websockets.http11 import Response

from stacks_feed_client.core.itinerary import redirected_to, retry_after_s, shown
from stacks_feed_client.core.machine import Lost
from stacks_feed_client.core.reading import line

# What an attempt to connect may raise; all of it may be over the next time.
TROUBLE = (OSError, TimeoutError, WebSocketException)
_CLOSE_S = 1.0
# Of what a server says instead of opening a WebSocket; ``line`` shows less.
_READ_BYTES = 1_000
_REDIRECTS = range(300, 400)
_MOST_SHOWN = 3


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
        self._closed: ConnectionClosed | None = None

    async def texts(self) -> AsyncIterator[str | bytes]:
        """Yield every message; end when the connection does, in whatever way."""
        while True:
            try:
                said = await self._socket.recv()
            except ConnectionClosed as closed:
                self._closed = closed
                return
            yield said

    async def send(self, said: str) -> bool:
        """Send a message; ``False`` when the connection is gone."""
        try:
            await self._socket.send(said)
        except ConnectionClosed as closed:
            self._closed = closed
            return False
        return True

    @property
    def end(self) -> Lost:
        """How the connection ended, and who ended it."""
        received = self._closed.rcvd if self._closed else None
        sent = self._closed.sent if self._closed else None
        if received is not None:
            why = f"closed with {_closing(received)}"
            return Lost(why, code=received.code, reason=received.reason)
        if sent is not None:
            # The library closes with 1002, 1007, 1009 for what it cannot take, and with
            # 1011 when its pings are not answered.
            return Lost(f"closed by this client with {_closing(sent)}")
        return Lost("the connection broke off without a close (1006)")


def _closing(close: Close) -> str:
    reason = line(close.reason)
    return f"{close.code} ({reason})" if reason else f"{close.code}"


class _NoRedirects(open_websocket):
    """Connects where it was told to, or not at all.

    Another server was never chosen, and must not get the headers, which may hold secrets.
    """

    def process_redirect(self, exc: Exception) -> Exception | str:
        """Take a redirect for a failure like any other."""
        return exc


def opened(
    url: str, options: LinkOptions
) -> AbstractAsyncContextManager[ClientConnection]:
    """Return a WebSocket to be opened, which raises what is in ``TROUBLE``.

    Raises ``ValueError`` for an address or options that can never work. Without compression: it costs every server memory and joins badly with shared messages.
    """
    tls: dict[str, Any] = {} if options.ssl is None else {"ssl": options.ssl}
    try:
        return _NoRedirects(
            url,
            additional_headers=dict(options.headers),
            compression=None,
            open_timeout=options.open_s,
            close_timeout=_CLOSE_S,
            max_size=options.message_bytes,
            **tls,
        )
    except InvalidURI as error:
        raise ValueError(f"{shown(url)} is no address: {error.msg}") from None


def lost_because(error: Exception) -> Lost:
    """Say why there was no connection; raises for nothing that a server answers."""
    if isinstance(error, InvalidStatus):
        return _refused(error.response)
    if isinstance(error, InvalidProxy):
        # The address of a proxy may hold a password.
        return Lost(f"the proxy's address is wrong: {line(error.msg)}")
    return Lost(line(f"{error}") or type(error).__name__)


def _refused(response: Response) -> Lost:
    headers = response.headers
    said = line((response.body or b"")[:_READ_BYTES].decode(errors="replace"))
    why = f"HTTP {response.status_code} {line(response.reason_phrase)}".strip()
    if response.status_code in _REDIRECTS:
        to = ", ".join(map(redirected_to, headers.get_all("Location")[:_MOST_SHOWN]))
        said = f"redirects are not followed; this one leads to {to or 'nowhere'}"
    return Lost(
        f"{why}: {said}" if said else why,
        status=response.status_code,
        retry_after_s=retry_after_s(
            headers.get_all("Retry-After"), dates=headers.get_all("Date")
        ),
    )
