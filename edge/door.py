"""The door: who may be connected, how many of each address, and with how much patience.

Counted is from the moment a connection is accepted: one that says nothing, or half of
something, takes its share like any other. Behind a proxy of ours the address is known
only from the head of a request; there a request counts for as long as it is answered,
and that of a stream lasts as long as the stream.
"""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aiohttp import hdrs, web
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong

from edge.config import EdgeConfig
from edge.core.addresses import (
    Address,
    address_of,
    client_of,
    household,
    is_among,
)
from edge.core.limits import Census, Full
from edge.core.origins import vary
from edge.problems import SERVER, problem
from edge.uploads import read_out
from runtime.clock import Clock
from runtime.metrics import OPEN_CONNECTIONS, REFUSED

_logger = logging.getLogger("edge.door")
# Those turned away that may wait at a time to be told why; more are cut off. They may not
# take the files that are kept for ourselves.
_MOST_WAITING, _WAITING_SHARE = 256, 8
_SWITCHING_PROTOCOLS, _SERVER_ERROR = 101, 500
# How aiohttp says so; there is no type for it.
_TOO_MANY_HEADERS = "Too many headers"
# Files of our own: the log, its drivers, standard streams.
_RESERVED_FILES = 512


def most_connections(wanted: int, *, files: int) -> int:
    """Return how many connections may be open; 0 as ``wanted`` is what files allow.

    A process out of files cannot even turn anybody away.
    """
    room = max(files - _RESERVED_FILES, files // 2, 1)
    return min(wanted, room) if wanted else room


class Door:
    """Keeps count of connections."""

    def __init__(self, config: EdgeConfig, *, files: int, clock: Clock) -> None:
        self._config, self.clock = config, clock
        self.origins = config.pages
        allowed = config.allowances
        most = most_connections(allowed.connections, files=files)
        if 0 < most < allowed.connections:
            _logger.warning(
                "fewer connections than set: too few open files are allowed",
                extra={"set": allowed.connections, "connections": most, "files": files},
            )
        self._most_waiting = min(_MOST_WAITING, files // _WAITING_SHARE)
        self._census = Census[str](most=most, most_each=allowed.connections_each)
        # Requests by way of proxies: the connections are counted already.
        self._passed_on = Census[str](most=0, most_each=allowed.connections_each)
        self._waiting = 0

    def connection(self, server: web.Server, **settings: Any) -> "Connection":
        """Return what speaks HTTP on one connection."""
        loop = asyncio.get_running_loop()
        return Connection(server, door=self, loop=loop, **settings)

    def enter(self, address: Address | None) -> tuple[str | None, Full | None]:
        """Count a connection; return for whom, and why it is turned away if it is.

        One of a proxy of ours is nobody's: whose its requests are they tell.
        """
        is_proxy = address is None or is_among(address, self._config.access.proxies)
        who = None if is_proxy else household(address)
        full = self._census.enter(who)
        if full is not None:
            REFUSED.labels(f"connections of {full.value}").inc()
            self._waiting += 1
        OPEN_CONNECTIONS.set(len(self._census))
        return who, full

    @property
    def is_crowded(self) -> bool:
        """Whether too many wait to be told that they are turned away."""
        return self._waiting > self._most_waiting

    def leave(self, who: str | None, full: Full | None) -> None:
        """Count a connection out again."""
        if full is not None:
            self._waiting -= 1
        else:
            self._census.leave(who)
        OPEN_CONNECTIONS.set(len(self._census))

    def dress(self, request: web.BaseRequest, answer: web.StreamResponse) -> None:
        """Give an answer the headers that all have, those for browsers among them."""
        headers = answer.headers
        headers[hdrs.SERVER] = SERVER
        if answer.status == _SWITCHING_PROTOCOLS:
            return
        headers.setdefault("X-Content-Type-Options", "nosniff")
        headers.update(self.origins.headers(*page_of(request)))
        if self.origins.depends_on_origin:
            headers[hdrs.VARY] = vary(headers.get(hdrs.VARY), on=hdrs.ORIGIN)

    @contextmanager
    def passing(self, request: web.Request) -> Iterator[tuple[str, Full | None]]:
        """Count a request while it lasts; yield whose it is, and why it is refused."""
        connection = request.protocol
        assert isinstance(connection, Connection), "we made it"  # noqa: S101
        if connection.who is not None:
            yield connection.who, connection.full
            return
        forwarded = request.headers.getall(hdrs.X_FORWARDED_FOR, ())
        proxies = self._config.access.proxies
        client = client_of(connection.address, forwarded, proxies)
        who = household(client)
        if connection.full is not None or client == connection.address:
            yield who, connection.full
            return
        full = self._passed_on.enter(who)
        if full is not None:
            REFUSED.labels(f"connections of {full.value}").inc()
            yield who, full
            return
        try:
            yield who, None
        finally:
            self._passed_on.leave(who)


def is_tls(transport: asyncio.BaseTransport) -> bool:
    """Tell whether a connection is encrypted."""
    return transport.get_extra_info("sslcontext") is not None


def has_ended(request: web.BaseRequest) -> bool:
    """Tell whether the client of a request has said that it sends no more."""
    connection = request.protocol
    return isinstance(connection, Connection) and connection.is_half_closed


def page_of(request: web.BaseRequest) -> tuple[str | None, str]:
    """Return the origin that a request comes from, and the host that it names."""
    return request.headers.get(hdrs.ORIGIN), request.headers.get(hdrs.HOST, "")


class Connection(web.RequestHandler):
    """HTTP on one connection that the door counts.

    ``address`` is that of who connected, ``who`` for whom it counts (``None``: nobody
    yet), ``full`` why it is turned away: the first request is told.
    """

    __slots__ = (
        "_door",
        "_is_half_closed",
        "_is_in",
        "_is_unreadable",
        "_is_upgraded",
        "address",
        "full",
        "who",
    )

    def __init__(self, server: web.Server, *, door: Door, **settings: Any) -> None:
        super().__init__(server, **settings)
        self._door, self._is_in = door, False
        # The client sends no more; what it sent is no HTTP; it is a WebSocket by now.
        self._is_half_closed = self._is_unreadable = self._is_upgraded = False
        self.who: str | None = None
        self.full: Full | None = None
        self.address: Address | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count it in."""
        super().connection_made(transport)
        name = transport.get_extra_info("peername")
        self.address = address_of(str(name[0])) if isinstance(name, tuple) else None
        self.who, self.full = self._door.enter(self.address)
        self._is_in = True
        if self.full is not None and self._door.is_crowded:
            self.force_close()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Count it out."""
        if self._is_in:
            self._is_in = False
            self._door.leave(self.who, self.full)
        super().connection_lost(exc)

    @property
    def is_half_closed(self) -> bool:
        """Whether the client has said that it sends no more."""
        return self._is_half_closed

    def set_parser(self, parser: Any, data_received_cb: Any = None) -> None:
        """Hand on what comes from now on: the connection is a WebSocket."""
        self._is_upgraded = True
        super().set_parser(parser, data_received_cb)

    def eof_received(self) -> Any:
        """Keep the connection while a request is answered whose client sends no more.

        There is nobody to answer on an idle connection, a WebSocket is closed by frames,
        and asyncio cannot keep half of a TLS connection. (``None`` has it closed.)
        """
        if self._is_upgraded or self.transport is None or is_tls(self.transport):
            return None
        is_idle = self._waiter is not None and not self._waiter.done()
        if is_idle:
            return None
        self._is_half_closed = True
        return True

    async def finish_response(
        self,
        request: web.BaseRequest,
        resp: web.StreamResponse,
        start_time: float | None,
    ) -> tuple[web.StreamResponse, bool]:
        """Send an answer; end the connection when nothing may follow."""
        finished = await super().finish_response(request, resp, start_time)
        if self._is_half_closed and not self._messages:
            self.close()
        if self._is_unreadable and self.transport is not None:
            await read_out(self.transport, self._door.clock)
        return finished

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is no HTTP, or what a bug of ours kept from an answer."""
        super().handle_error(request, status, exc, message)
        if status < _SERVER_ERROR:
            self._is_unreadable = True
            answer = self._refusal_of(exc)
        else:
            answer = problem(status, "internal", "the edge failed; it is logged there")
        # A head that could not be read names no origin.
        self._door.dress(request, answer)
        answer.force_close()
        return answer

    def _refusal_of(self, exc: BaseException | None) -> web.Response:
        """Return the answer to a head of a request that cannot be read."""
        limit = exc.args[1] if isinstance(exc, LineTooLong) else None
        if limit == self.max_line_size:
            said = f"the address is longer than {limit} bytes"
            return problem(414, "uri-too-long", said)
        if limit == self.max_field_size:
            said = f"a header is longer than {limit} bytes"
            return problem(431, "headers-too-large", said)
        message = exc.message if isinstance(exc, HttpProcessingError) else ""
        if message.startswith(_TOO_MANY_HEADERS):
            said = f"there are more than {self.max_headers} headers"
            return problem(431, "headers-too-large", said)
        return problem(400, "bad-request", "this is not HTTP as it should be")

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """Log what went wrong with us.

        It is no fault of ours that a client speaks no HTTP, or leaves in the middle.
        """
        error = kw.get("exc_info")
        if isinstance(error, HttpProcessingError | ConnectionError):
            _logger.debug("not answered", extra={"why": type(error).__name__})
        else:
            super().log_exception(*args, **kw)
