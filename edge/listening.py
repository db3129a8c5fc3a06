"""The port: taken, opened, and left without turning away who already stands in line."""

import asyncio
import os
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import TypeAlias

from edge.config import EdgeConfig

# Makes what speaks on one connection.
Serve: TypeAlias = Callable[[], asyncio.Protocol]
# Everybody comes back at once after a restart; the kernel may cap this.
_BACKLOG = 4_096
# Who has not agreed on TLS by then is cut off.
_HANDSHAKE_S = 15.0
# What those who stand in line when the port is left have for it.
_LAST_HANDSHAKE_S = 1.0
# A connection whose other side confirms nothing is given up by the system, some time
# after a client that takes nothing would have been dropped.
_STALLS = 2
_PROBES = 3


class Listener:
    """A port that is ours from the start, and answered from ``open`` to ``leave``."""

    def __init__(
        self,
        serve: Serve,
        taken: Sequence[socket.socket],
        tls: ssl.SSLContext | None,
    ) -> None:
        self._serve, self._taken, self._tls = serve, taken, tls
        self._servers: list[asyncio.Server] = []
        self.port: int = taken[0].getsockname()[1]

    async def open(self) -> None:
        """Answer whoever connects from now on."""
        loop = asyncio.get_running_loop()
        for each in self._taken:
            server = await loop.create_server(
                self._serve,
                sock=each,
                backlog=_BACKLOG,
                ssl=self._tls,
                ssl_handshake_timeout=_HANDSHAKE_S if self._tls else None,
            )
            self._servers.append(server)

    async def leave(self) -> None:
        """Let nobody connect any more; whoever is connected stays.

        A connection whose handshake the system has made, but that we have not accepted,
        would be reset with the socket: those are taken in first, and answered.
        """
        servers, self._servers = self._servers, []
        for server, each in zip(servers, self._taken, strict=False):
            in_line = list(_in_line(each))
            # Nothing was awaited since: who connects after this is refused.
            server.close()
            async with asyncio.TaskGroup() as group:
                for connection in in_line:
                    group.create_task(self._take_in(connection), name="take in")

    async def _take_in(self, connection: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with suppress(OSError):  # it left, or was too slow in saying what TLS wants
            async with asyncio.timeout(_LAST_HANDSHAKE_S):
                await loop.connect_accepted_socket(
                    self._serve, connection, ssl=self._tls
                )


@asynccontextmanager
async def taking(
    serve: Serve,
    host: str,
    port: int,
    *,
    shared: bool,
    stall_s: float,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[Listener]:
    """Take a port; 0 is a free one. With ``shared`` other processes of ours may too.

    The system gives up connections whose other side is gone without a word, after some
    ``stall_s``.

    Raises ``OSError`` when it cannot be had. The system shares out connections among all
    that have opened a shared port.
    """
    taken: list[socket.socket] = []
    try:
        for family, address in await _addresses(host, port):
            # Of a free port, all addresses get the same.
            number = taken[0].getsockname()[1] if taken else port
            taken.append(bound(family, (address, number), shared=shared))
            _give_up_dead(taken[-1], stall_s)
        listener = Listener(serve, taken, tls)
        try:
            yield listener
        finally:
            await listener.leave()
    finally:
        for each in taken:
            each.close()


def bound(
    family: int, address: tuple[str, int], *, shared: bool = False
) -> socket.socket:
    """Return a socket that holds a port, to which nobody can connect yet.

    Raises ``OSError`` that names the address.
    """
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.settimeout(0.0)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            # Else it would take the port of the old protocol too.
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind(address)
    except OSError as error:
        made.close()
        why = os.strerror(error.errno) if error.errno else f"{error}"
        raise OSError(error.errno, f"cannot listen on {address}: {why}") from None
    return made


def _give_up_dead(listening: socket.socket, stall_s: float) -> None:
    """Bound how long what is accepted may confirm nothing: it inherits these."""
    seconds = max(1, round(stall_s))
    wanted = {
        "TCP_USER_TIMEOUT": seconds * 1_000 * _STALLS,
        "TCP_KEEPIDLE": seconds,
        "TCP_KEEPINTVL": max(1, seconds // _PROBES),
        "TCP_KEEPCNT": _PROBES,
    }
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in wanted.items():
        option = getattr(socket, name, None)  # not on every system
        if option is not None:
            listening.setsockopt(socket.IPPROTO_TCP, option, value)


def tls_of(config: EdgeConfig) -> ssl.SSLContext | None:
    """Return how the port speaks TLS, if it does.

    Raises ``OSError`` that names the file when certificate or key cannot be used.
    """
    access = config.access
    if access.certificate is None:
        return None
    found = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        found.load_cert_chain(access.certificate, access.certificate_key)
    except (OSError, ssl.SSLError) as error:
        why = f"cannot use the certificate {access.certificate}: {error}"
        raise OSError(why) from None
    return found


async def _addresses(host: str, port: int) -> Sequence[tuple[int, str]]:
    """Return what a host stands for, each once: a name may be several addresses."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    return list(dict.fromkeys((family, str(at[0])) for family, *_, at in found))


def _in_line(listening: socket.socket) -> Iterator[socket.socket]:
    """Accept, one after the other, whom the system has connected already."""
    while True:
        try:
            connection, _ = listening.accept()
        except OSError:  # there is nobody left, or no room for more
            return
        yield connection
