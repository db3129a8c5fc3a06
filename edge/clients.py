"""The open connections, and the only place that writes to one."""

import asyncio
import logging
import random
import socket
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from edge.core.frames import close_frame
from edge.core.hub import ClientId, Hub, Write
from edge.core.patience import Progress, Pulse
from runtime.clock import Clock
from runtime.metrics import (
    CLIENTS,
    CLOSED,
    CONNECTIONS,
    FANOUT_SECONDS,
    OFFERS,
    SENT_BYTES,
    SENT_WRITES,
)
from schemas.wire import PARTIES, Party

_logger = logging.getLogger("edge.clients")
# A part of an answer that is longer gives the others a turn before the next is made.
_SHORT_BYTES = 16_384
# Of one batch, before pings, accepts and reads have their turn: some milliseconds.
CLIENTS_A_TURN = 300
# How long a stop waits for clients to answer the close frame.
_CLOSE_S = 2.0
# Over how long clients that were told of a shutdown come back.
_RECONNECT_S = 5.0
_SERVICE_RESTART, _CLOSE_REASON = 1012, b"restarting"
_CLIENTS = {party: CLIENTS.labels(party) for party in PARTIES}
_CONNECTIONS = {party: CONNECTIONS.labels(party) for party in PARTIES}
_CLOSE_FRAME = close_frame(_SERVICE_RESTART, _CLOSE_REASON.decode())


class Socket(Protocol):
    """What ends a connection in good order."""

    @property
    def closed(self) -> bool:
        """Whether that has begun."""
        ...

    async def close(self, *, code: int, message: bytes) -> bool:
        """Say why, if there is a way to, and end it when all has been sent."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Client:
    """One open connection; ``drained`` waits until its socket takes more.

    ``drained`` raises ``ConnectionError`` when the connection is lost. Who
    ``listens_only`` reads a stream of events: it answers no ping and knows no frames.
    ``who`` it is by address, or by the network of its household.
    """

    id: ClientId
    party: Party
    socket: Socket
    transport: asyncio.Transport
    drained: Callable[[], Awaitable[None]]
    listens_only: bool = False
    who: str = ""
    pulse: Pulse = field(default_factory=Pulse)
    progress: Progress = field(default_factory=Progress)

    @property
    def is_open(self) -> bool:
        """Whether frames may still be written: nothing follows a close frame."""
        return not self.socket.closed and not self.transport.is_closing()

    @property
    def backlog_bytes(self) -> int:
        """What was written and is still here."""
        return self.transport.get_write_buffer_size()


class Clients:
    """Every open connection.

    Frames go to the transport whole and without waiting, so one client that does not
    read costs the others nothing. aiohttp writes nothing once a connection is upgraded.

    A client whose transport holds more than ``mark_bytes`` is held by the hub: what is
    new waits there until the transport has drained.
    """

    def __init__(self, hub: Hub, *, mark_bytes: int, clock: Clock) -> None:
        self._hub, self._mark_bytes, self._clock = hub, mark_bytes, clock
        self._open: dict[ClientId, Client] = {}
        # Of those to whom changes may still be written: one look-up, nothing to ask.
        self._transports: dict[ClientId, asyncio.Transport] = {}
        # What a delivery under way has not yet written: the writes, in parts; and by
        # client, once somebody had to be written to out of turn.
        self._left: deque[Write] = deque()
        self._by_client: dict[ClientId, Write] | None = None
        self._sent_writes = self._sent_bytes = 0  # and not yet counted
        self._fed: dict[ClientId, Client] = {}
        self._to_feed: list[Client] = []
        self._fell_behind = asyncio.Event()
        self.closing = False

    def __iter__(self) -> Iterator[Client]:
        """Yield those open now; they may come and go meanwhile."""
        return iter(list(self._open.values()))

    def add(self, client: Client) -> None:
        """Take in a connection."""
        client.transport.set_write_buffer_limits(
            high=self._mark_bytes, low=self._mark_bytes // 4
        )
        self._open[client.id] = client
        self._transports[client.id] = client.transport
        _CLIENTS[client.party].inc()
        _CONNECTIONS[client.party].inc()

    def remove(self, client: Client) -> None:
        """Forget a connection and what it was to get."""
        del self._open[client.id]
        self.mute(client.id)
        _CLIENTS[client.party].dec()

    def mute(self, client_id: ClientId) -> None:
        """Write no more changes to a client: a close frame is about to be sent."""
        self._transports.pop(client_id, None)

    # ---- changes

    async def deliver(self, writes: Iterable[Write]) -> None:
        """Write each client what it is to get, with turns of the loop in between.

        Only one delivery at a time.
        """
        started_s = self._clock.monotonic_s()
        self._left, self._by_client = deque(_parts(writes)), None
        while self._left:
            clients = 0
            while self._left and clients < CLIENTS_A_TURN:
                write = self._left.popleft()
                clients += len(write.clients)
                self._fan_out(write)
            if self._left:
                await self._clock.sleep(0)
        for client_id in self._hub.take_fallen_behind():
            if client_id in self._transports:
                self._fall_behind(self._open[client_id])
        for offer, count in self._hub.take_offers().items():
            OFFERS.labels(offer.value).inc(count)
        FANOUT_SECONDS.observe(self._clock.monotonic_s() - started_s)

    def catch_up(self, client_id: ClientId) -> None:
        """Write now what a delivery under way still holds for one client.

        To be called before anything else is said to a client or heard from it: what was
        built before that moment must not arrive after it.
        """
        if not self._left:
            return
        if self._by_client is None:
            self._by_client = {c: write for write in self._left for c in write.clients}
        write = self._by_client.get(client_id)
        if write is not None:
            self._fan_out(write._replace(clients=(client_id,)))

    def _fan_out(self, write: Write) -> None:
        """Write to each client: the hot path, where each call counts.

        A transport whose connection was lost takes writes and ignores them.
        """
        clients: Iterable[ClientId] = write.clients
        if self._by_client is not None:
            pop = self._by_client.pop
            clients = [each for each in clients if pop(each, None) is not None]
        frames, more, mark_bytes = write.frames, write.more, self._mark_bytes
        find, written = self._transports.get, 0
        for client_id in clients:
            transport = find(client_id)
            if transport is None:
                continue
            transport.write(frames)
            written += 1
            if more or transport.get_write_buffer_size() > mark_bytes:
                self._fall_behind(self._open[client_id])
        self._sent_writes += written
        self._sent_bytes += written * len(frames)

    def count_sent(self) -> None:
        """Set the counters of what was sent: too much a price for each write."""
        SENT_WRITES.inc(self._sent_writes)
        SENT_BYTES.inc(self._sent_bytes)
        self._sent_writes = self._sent_bytes = 0

    # ---- answers, and what is said unasked

    async def answer(self, client: Client, frames: Iterable[bytes]) -> None:
        """Write frames, each when the socket has drained; stop when it is closed.

        Raises ``ConnectionError`` when it is gone in the middle.
        """
        answer = iter(frames)
        while client.is_open:
            # Pulled and written in one turn: what is newer must not overtake it.
            each = next(answer, None)
            if each is None:
                break
            self._write(client, each)
            await self._drain(client)
            if len(each) > _SHORT_BYTES:
                await self._clock.sleep(0)
        if client.is_open:
            self.catch_up(client.id)
            self._settle(client)

    def send(self, client: Client, frames: bytes) -> None:
        """Write frames unless the connection is closing."""
        self.catch_up(client.id)
        if frames and client.is_open:
            self._write(client, frames)
            self._settle(client)

    def send_all(self, writes: Iterable[Write]) -> None:
        """Write frames to the clients they are for."""
        for write in writes:
            for client_id in write.clients:
                self.send(self._open[client_id], write.frames)

    def drop(self, client: Client, reason: str) -> None:
        """End a connection at once: a close frame would only wait with the rest."""
        CLOSED.labels(reason).inc()
        self.mute(client.id)
        client.transport.abort()

    def _write(self, client: Client, frames: bytes) -> None:
        client.transport.write(frames)
        self._sent_writes += 1
        self._sent_bytes += len(frames)

    async def _drain(self, client: Client) -> None:
        await client.drained()
        # Who reads is alive, though its pongs wait behind what it reads.
        client.progress.took()
        client.pulse.heard()

    # ---- clients that are behind

    async def feed(self) -> None:
        """Write to those that are behind what waits for them, as their sockets drain."""
        async with asyncio.TaskGroup() as group:
            while True:
                await self._fell_behind.wait()
                self._fell_behind.clear()
                for client in self._to_feed:
                    group.create_task(self._feed(client), name=f"feed {client.id}")
                self._to_feed = []

    def _settle(self, client: Client) -> None:
        over = client.backlog_bytes > self._mark_bytes
        if over or self._hub.is_behind(client.id):
            self._fall_behind(client)

    def _fall_behind(self, client: Client) -> None:
        self._hub.hold(client.id)
        if client.id not in self._fed:
            self._fed[client.id] = client
            self._to_feed.append(client)
            self._fell_behind.set()

    async def _feed(self, client: Client) -> None:
        """Write until nothing waits; what fills the transport again is waited for."""
        try:
            await self._feed_up(client)
        finally:
            del self._fed[client.id]

    async def _feed_up(self, client: Client) -> None:
        with suppress(ConnectionError):
            while client.is_open and self._hub.is_behind(client.id):
                await self._drain(client)
                if client.is_open:
                    self._pull(client)
                await self._clock.sleep(0)

    def _pull(self, client: Client) -> None:
        frames = self._hub.pull(client.id, now_ms=self._clock.now_ms())
        if frames:
            self._write(client, frames)
            if client.backlog_bytes > self._mark_bytes:
                self._hub.hold(client.id)

    # ---- the end

    async def close(
        self,
        *,
        drain_s: float = 0.0,
        draw: Callable[[], float] = random.random,
    ) -> None:
        """Tell every client that the service restarts; drop who does not answer.

        The closes are spread over ``drain_s``, each at a moment left to chance; whatever
        waits for a client is written first. Those that asked for it are told when to come
        back: when they are closed, or later if that would be all at once.

        When cancelled, all that are left are closed at once.
        """
        self.closing = True
        _logger.info("closing clients", extra={"clients": len(self._open)})
        moments = {client.id: draw() for client in self}
        back_s = max(drain_s, _RECONNECT_S)
        try:
            for number, client in enumerate(self, start=1):
                self._say_farewell(client, moments[client.id] * back_s)
                if number % CLIENTS_A_TURN == 0:
                    await self._clock.sleep(0)
            async with (
                asyncio.timeout(drain_s + _CLOSE_S),
                asyncio.TaskGroup() as group,
            ):
                for client in self:
                    # Who is new here was let in just before: without a moment of its own.
                    after_s = drain_s * moments.get(client.id, 1.0)
                    ending = self._close(client, after_s=after_s)
                    group.create_task(ending, name=f"close {client.id}")
        except TimeoutError:
            self.end_all()
        except asyncio.CancelledError:
            self.end_all()
            raise

    def _say_farewell(self, client: Client, reconnect_in_s: float) -> None:
        notice = self._hub.farewell(
            client.id,
            reconnect_in_ms=round(reconnect_in_s * 1_000),
            now_ms=self._clock.now_ms(),
        )
        self.send(client, notice)

    async def _close(self, client: Client, *, after_s: float) -> None:
        await self._clock.sleep(after_s)
        if not client.is_open:  # it left by itself
            return
        self.catch_up(client.id)
        await self._feed_up(client)
        if client.is_open:  # nor left while it was fed
            CLOSED.labels("restart").inc()
            await client.socket.close(code=_SERVICE_RESTART, message=_CLOSE_REASON)

    def end_all(self) -> None:
        """Close without waiting: who has been sent a close frame, or takes nothing."""
        for client in self:
            if client.is_open and client.backlog_bytes <= self._mark_bytes:
                self.mute(client.id)
                if not client.listens_only:
                    client.transport.write(_CLOSE_FRAME)
                client.transport.close()
            else:
                client.transport.abort()


def _parts(writes: Iterable[Write]) -> Iterator[Write]:
    """Yield writes for no more clients than one turn of the loop is to serve."""
    for write in writes:
        clients: Sequence[ClientId] = write.clients
        if len(clients) <= CLIENTS_A_TURN:
            yield write
            continue
        for start in range(0, len(clients), CLIENTS_A_TURN):
            part = write.clients[start : start + CLIENTS_A_TURN]
            yield write._replace(clients=part)


def limit_unsent(transport: asyncio.Transport, unsent_bytes: int) -> None:
    """Bound what the kernel takes beyond what is on its way.

    Otherwise it hides megabytes that a client does not read.
    """
    option = getattr(socket, "TCP_NOTSENT_LOWAT", None)  # not on every system
    accepted = transport.get_extra_info("socket")
    if accepted is not None and option is not None:
        accepted.setsockopt(socket.IPPROTO_TCP, option, unsent_bytes)
