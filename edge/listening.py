"""The port: taken, opened, and left without turning away who already stands in line."""

import asyncio
import logging
import os
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeAlias

from edge.config import EdgeConfig
from runtime.clock import Clock
from runtime.metrics import REFUSED

_logger = logging.getLogger("edge.listening")
# Makes what speaks on one connection.
Serve: TypeAlias = Callable[[], asyncio.Protocol]
# Takes one connection out of the line.
Accept: TypeAlias = Callable[[socket.socket], tuple[socket.socket, Any]]
# Everybody comes back at once after a restart; the kernel may cap this.
_BACKLOG = 4_096
# So many connections are accepted in a row before the event loop turns to others.
_ACCEPTS_A_TURN = 64
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 5.0
# Who has not agreed on TLS by then is cut off.
_HANDSHAKE_S = 15.0
# What those who stand in line when the port is left have for it.
_LAST_HANDSHAKE_S = 1.0
# A connection whose other side confirms nothing is given up by the system, some time
# after a client that takes nothing would have been dropped.
_STALLS = 2
_PROBES = 3


class Listener:
    """A port that is ours from the start, and answered from ``open`` to ``leave``.

    When nobody can be accepted, as when the process is out of open files, accepting pauses,
    longer each time: whoever stands in line waits there. That is logged when it begins and
    when it ends.
    """

    def __init__(
        self,
        serve: Serve,
        taken: Sequence[socket.socket],
        tls: ssl.SSLContext | None,
        *,
        group: asyncio.TaskGroup,
        clock: Clock,
        accept: Accept,
    ) -> None:
        self._serve, self._taken, self._tls = serve, taken, tls
        self._group, self._clock, self._accept = group, clock, accept
        self._loop = asyncio.get_running_loop()
        self._is_open = False
        self._paused: str | None = None
        self._pause_s = _FIRST_PAUSE_S
        # Tasks that must not outlive the port: handshakes, and the wait to accept again.
        self._tasks: set[asyncio.Task[None]] = set()
        self.port: int = taken[0].getsockname()[1]

    def trouble(self) -> str | None:
        """Return why nobody is let in for now; ``None`` if whoever connects is."""
        return self._paused

    async def open(self) -> None:
        """Answer whoever connects from now on."""
        for each in self._taken:
            each.listen(_BACKLOG)
        self._is_open = True
        self._read_on()

    async def leave(self) -> None:
        """Let nobody connect any more; whoever is connected stays.

        A connection whose handshake the system has made, but that we have not accepted,
        would be reset with the socket: those are taken in first, and answered.
        """
        if not self._is_open:
            return
        self._is_open = False
        self._stop_reading()
        in_line = [each for taken in self._taken for each in _in_line(taken)]
        # Nothing was awaited since: who connects after this is refused.
        for each in self._taken:
            each.close()
        async with asyncio.TaskGroup() as group:
            for connection in in_line:
                group.create_task(
                    self._take_in(connection, limit_s=_LAST_HANDSHAKE_S), name="take in"
                )

    def cancel(self) -> None:
        """Give up whoever has not agreed on TLS yet."""
        for task in self._tasks:
            task.cancel()

    def _read_on(self) -> None:
        for each in self._taken:
            self._loop.add_reader(each, self._take_from_line, each)

    def _stop_reading(self) -> None:
        for each in self._taken:
            self._loop.remove_reader(each)

    def _take_from_line(self, listening: socket.socket) -> None:
        for _ in range(_ACCEPTS_A_TURN):
            try:
                connection, _ = self._accept(listening)
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._pause(error)
                return
            self._go_on()
            taking_in = self._take_in(connection, limit_s=_HANDSHAKE_S)
            self._start(taking_in, name="take in")

    def _pause(self, error: OSError) -> None:
        """Accept nobody for a while: the process is out of files, or the network is away."""
        why = os.strerror(error.errno) if error.errno else f"{error}"
        REFUSED.labels("accept").inc()
        if self._paused is None:
            _logger.warning("accepting pauses", extra={"why": why})
        self._paused = f"nobody can connect: {why}"
        self._stop_reading()
        self._start(self._try_again(self._pause_s), name="accept again")
        self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)

    async def _try_again(self, pause_s: float) -> None:
        await self._clock.sleep(pause_s)
        if self._is_open:
            self._read_on()

    def _go_on(self) -> None:
        if self._paused is not None:
            self._paused, self._pause_s = None, _FIRST_PAUSE_S
            _logger.info("accepting goes on")

    def _start(self, work: Coroutine[Any, Any, None], *, name: str) -> None:
        task = self._group.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _take_in(self, connection: socket.socket, *, limit_s: float) -> None:
        with suppress(OSError):  # it left, or was too slow in saying what TLS wants
            async with asyncio.timeout(limit_s):
                await self._loop.connect_accepted_socket(
                    self._serve, connection, ssl=self._tls
                )


@asynccontextmanager
async def taking(
    serve: Serve,
    config: EdgeConfig,
    *,
    clock: Clock,
    accept: Accept = socket.socket.accept,
) -> AsyncIterator[Listener]:
    """Take the port of an edge; 0 is a free one. One that is shared others may have too.

    The system gives up connections whose other side is gone without a word, after some
    ``stall_s``.

    Raises ``OSError`` when it cannot be had. The system shares out connections among all
    that have opened a shared port.
    """
    tls = tls_of(config)
    async with _taken(config) as taken, asyncio.TaskGroup() as group:
        listener = Listener(serve, taken, tls, group=group, clock=clock, accept=accept)
        try:
            yield listener
        finally:
            try:
                await listener.leave()
            finally:
                listener.cancel()


@asynccontextmanager
async def _taken(config: EdgeConfig) -> AsyncIterator[Sequence[socket.socket]]:
    """Hold the port on each address that the host stands for."""
    taken: list[socket.socket] = []
    try:
        for family, address in await _addresses(config.host, config.port):
            # With port 0 all addresses get the port that the first one got.
            number = taken[0].getsockname()[1] if taken else config.port
            at = address, number
            taken.append(bound(family, at, shared=config.shares_port))
            _give_up_dead(taken[-1], config.stall_s)
        yield taken
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
