"""The open connections: what is written to them, and which of them are still alive."""

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass, field

from aiohttp import WSCloseCode, web

from edge.core.hub import ClientId, Write
from edge.core.patience import Pulse, is_late
from runtime.clock import Clock
from runtime.metrics import (
    CLIENTS,
    CLOSED,
    CONNECTIONS,
    FANOUT_SECONDS,
    SENT_BYTES,
    SENT_WRITES,
)
from schemas.wire import Party

_logger = logging.getLogger("edge.clients")
# Of one batch, before pings, accepts and reads have their turn: some milliseconds.
_CLIENTS_A_TURN = 300
_PING = b"\x89\x00"  # a whole frame: final, ping, no payload
# How long a stop waits for clients to answer the close frame.
_CLOSE_S = 2.0


@dataclass(frozen=True, slots=True, eq=False)
class Client:
    """One open WebSocket."""

    id: ClientId
    party: Party
    socket: web.WebSocketResponse
    transport: asyncio.Transport
    pulse: Pulse = field(default_factory=Pulse)

    @property
    def is_open(self) -> bool:
        """Whether frames may still be written: nothing follows a close frame."""
        return not self.socket.closed and not self.transport.is_closing()


class Clients:
    """Every open connection, and the only place that writes to one.

    Frames go to the transport whole and without waiting, so one client that does not
    read costs the others nothing. That is safe beside aiohttp's own writer because it
    too writes whole frames in one turn of the loop, uncompressed.
    """

    def __init__(self, *, buffer_bytes: int, ping_s: float, clock: Clock) -> None:
        self._buffer_bytes, self._ping_s, self._clock = buffer_bytes, ping_s, clock
        self._open: dict[ClientId, Client] = {}
        # What a delivery under way has not yet written, of each client.
        self._undelivered: dict[ClientId, bytes] = {}
        self.closing = False

    def add(self, client: Client) -> None:
        """Take in a connection."""
        self._open[client.id] = client
        CLIENTS.labels(client.party).inc()
        CONNECTIONS.labels(client.party).inc()

    def remove(self, client: Client) -> None:
        """Forget a connection and what it was to get."""
        del self._open[client.id]
        self._undelivered.pop(client.id, None)
        CLIENTS.labels(client.party).dec()

    def send(self, client: Client, frames: bytes) -> None:
        """Write frames unless the connection is closing.

        A client that still has more than the bound to read is dropped instead.
        """
        if not client.is_open:
            return
        if client.transport.get_write_buffer_size() > self._buffer_bytes:
            self._drop(client, "does not read")
            return
        client.transport.write(frames)
        SENT_BYTES.inc(len(frames))
        SENT_WRITES.inc()

    async def deliver(self, writes: Iterable[Write]) -> None:
        """Write each client what it is to get, with turns of the loop in between.

        Only one delivery at a time.
        """
        started_s = self._clock.monotonic_s()
        self._undelivered = _by_client(writes)
        for number, client_id in enumerate(list(self._undelivered), start=1):
            self.catch_up(client_id)
            if number % _CLIENTS_A_TURN == 0:
                await self._clock.sleep(0)
        FANOUT_SECONDS.observe(self._clock.monotonic_s() - started_s)

    def catch_up(self, client_id: ClientId) -> None:
        """Write now what a delivery under way still holds for one client.

        To be called before anything else is said to a client or heard from it: what was
        built before that moment must not arrive after it.
        """
        frames = self._undelivered.pop(client_id, None)
        if frames is not None:
            self.send(self._open[client_id], frames)

    async def keep_alive(self) -> None:
        """Ping all clients again and again; drop those that give no sign of life."""
        while True:
            started_s = self._clock.monotonic_s()
            await self._clock.sleep(self._ping_s)
            waited_s = self._clock.monotonic_s() - started_s
            await self._ping(late=is_late(waited_s, planned_s=self._ping_s))

    async def close(self) -> None:
        """Tell every client that the service restarts; drop who does not answer."""
        self.closing = True
        _logger.info("closing clients", extra={"clients": len(self._open)})
        try:
            async with asyncio.timeout(_CLOSE_S), asyncio.TaskGroup() as group:
                for client in self._open.values():
                    group.create_task(_close(client), name=f"close {client.id}")
        except TimeoutError:
            for client in list(self._open.values()):
                client.transport.abort()

    async def _ping(self, *, late: bool) -> None:
        for number, client in enumerate(list(self._open.values()), start=1):
            if client.pulse.beat(late=late):
                self.send(client, _PING)
            else:
                self._drop(client, "no pong")
            if number % _CLIENTS_A_TURN == 0:
                await self._clock.sleep(0)

    def _drop(self, client: Client, reason: str) -> None:
        """End a connection at once: a close frame would only wait with the rest."""
        CLOSED.labels(reason).inc()
        client.transport.abort()


def _by_client(writes: Iterable[Write]) -> dict[ClientId, bytes]:
    found: dict[ClientId, bytes] = {}
    for write in writes:
        for client_id in write.clients:
            found[client_id] = found.get(client_id, b"") + write.frames
    return found


async def _close(client: Client) -> None:
    CLOSED.labels("restart").inc()
    await client.socket.close(code=WSCloseCode.SERVICE_RESTART, message=b"restarting")
