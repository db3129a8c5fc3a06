"""Hiro's WebSocket: hints that a user should be read again, nothing more."""

import asyncio
import logging
from collections.abc import Callable, Sequence

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException
from websockets.protocol import Event

from ingest.config import PushConfig
from ingest.core.backoff import delay_s
from ingest.core.flood import Flood
from ingest.core.headers import shown
from ingest.core.normalize.body import Unusable
from ingest.core.normalize.push import (
    Frame,
    Hint,
    Pulse,
    Subscribed,
    SubscriptionRefused,
    frame,
    subscriptions,
)
from ingest.sources.guard import guarded, log_bug
from runtime.clock import Clock
from runtime.metrics import HINTS, PUSH_CONNECTIONS, PUSH_LOSSES, UPSTREAM_REJECTS
from runtime.trouble import Trouble
from schemas.ids import UserId

_logger = logging.getLogger("ingest.push")
_SOURCE = "push"
_BASE_S, _CAP_S = 1.0, 60.0
# An address that is refused will be again, unless it was a mistake.
_REFUSED_S = 3_600.0
# Limits of what one connection may send: there is a block every few seconds, and a hint for
# each transaction of one address.
_MAX_BYTES, _MAX_FRAMES, _WINDOW_S = 2 * 1_048_576, 2_000, 10.0
_PIECE_BYTES = 4_096
_MAX_UNSENT_BYTES = 65_536
_MAX_QUEUED = 2
_BLOCKS, _ADDRESS = 1, 2


class PushPool:
    """A connection for each of the newest watched users, as many as there may be.

    One address a connection: their server keeps one liveness set a socket and kind of
    event, and drops all addresses but one of it at its first ping. Each connection
    subscribes to blocks too: a socket without a pulse is dead, whatever it says.
    """

    def __init__(
        self,
        config: PushConfig,
        *,
        hint: Callable[[UserId], None],
        clock: Clock,
        draw: Callable[[], float],
        read: Callable[[bytes], Frame] = frame,
    ) -> None:
        self._config, self._hint, self._read = config, hint, read
        self._clock, self._draw = clock, draw
        self._trouble = Trouble(
            _logger,
            "push connection lost",
            "push connections stand",
            monotonic_s=clock.monotonic_s,
        )
        self._wanted: list[UserId] = []
        self._changed = asyncio.Event()

    def watch(self, users: Sequence[UserId]) -> None:
        """Take the watched users, the newest last."""
        newest = list(users[-self._config.connections :])
        if newest != self._wanted:
            self._wanted = newest
            self._changed.set()

    async def run(self) -> None:
        """Keep a connection for each user there is room for, for ever."""
        tasks: dict[UserId, asyncio.Task[None]] = {}
        async with asyncio.TaskGroup() as group:
            while True:
                self._reconcile(tasks, group)
                await self._changed.wait()
                self._changed.clear()

    def _reconcile(
        self, tasks: dict[UserId, asyncio.Task[None]], group: asyncio.TaskGroup
    ) -> None:
        for user in tasks.keys() - set(self._wanted):
            tasks.pop(user).cancel()
        for user in self._wanted:
            if user not in tasks:
                tasks[user] = group.create_task(self._keep(user), name="push")

    async def _keep(self, user: UserId) -> None:
        """Stay connected for one user, through whatever the other side does."""
        attempt, missed = 0, False
        while True:
            connection = _Connection(
                user, self._config, self._hint, self._read, missed=missed
            )
            began_s = self._clock.monotonic_s()
            await self._connect(connection)
            # What happened from here to the next subscription nobody will tell us.
            missed = missed or connection.subscribed
            # One that comes and goes in moments is waited for longer each time.
            lasted = self._clock.monotonic_s() - began_s >= _CAP_S
            attempt = 0 if connection.alive and lasted else attempt + 1
            wait_s = delay_s(attempt, draw=self._draw(), base_s=_BASE_S, cap_s=_CAP_S)
            await self._clock.sleep(_REFUSED_S if connection.refused else wait_s)

    async def _connect(self, connection: "_Connection") -> None:
        """Run a connection to its end, which is no more than a line in the log."""
        try:
            await connection.run(str(self._config.url), stands=self._trouble.over)
        except (OSError, TimeoutError, WebSocketException) as error:
            self._lose(connection.why or str(error) or type(error).__name__)
        except Exception as error:  # noqa: BLE001 - this is the guard
            # A bug, of the library or of ours: it must not cost prices and balances.
            log_bug(_SOURCE, error)
            self._lose(type(error).__name__)

    def _lose(self, why: str) -> None:
        PUSH_LOSSES.inc()
        self._trouble.happened(why=shown(why))


class _NoRedirects(connect):
    """Connects where it was told to, or not at all."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        """Take every answer but the right one for a failure."""
        return exc


class _Socket(ClientConnection):
    """A socket that is cut off when the other side floods it, or does not read."""

    flood: Flood | None = None

    def data_received(self, data: bytes) -> None:
        """Take what came in small pieces, so that a flood is noticed in the middle."""
        flood = self.flood = self.flood or Flood(_MAX_BYTES, _MAX_FRAMES, _WINDOW_S)
        flood.take_bytes(len(data), now_s=self.loop.time())
        for at in range(0, len(data), _PIECE_BYTES):
            unsent = self.transport.get_write_buffer_size()
            if flood.is_flooded or unsent > _MAX_UNSENT_BYTES:
                self.transport.abort()
                return
            super().data_received(data[at : at + _PIECE_BYTES])

    def process_event(self, event: Event) -> None:
        """Count every frame, and the handshake."""
        if self.flood is not None:
            self.flood.take_frame(now_s=self.loop.time())
        super().process_event(event)


class _Connection:
    """One connection, until it fails."""

    def __init__(
        self,
        user: UserId,
        config: PushConfig,
        hint: Callable[[UserId], None],
        read: Callable[[bytes], Frame],
        *,
        missed: bool,
    ) -> None:
        self._user, self._config = user, config
        self._hint, self._read, self._missed = hint, read, missed
        self._stands: Callable[[], None] | None = None
        self._pulse_at_s = 0.0
        self.subscribed = self.alive = self.refused = False
        self.why: str | None = None

    async def run(self, url: str, *, stands: Callable[[], None]) -> None:
        """Connect, subscribe, pass hints on. Raises when the connection is no good.

        ``stands`` is called once the address is subscribed to.
        """
        self._stands = stands
        async with _NoRedirects(
            url,
            open_timeout=self._config.open_timeout_s,
            max_size=self._config.max_message_bytes,
            max_queue=_MAX_QUEUED,
            # Nothing they send is inflated: a small frame stands for no large one.
            compression=None,
            close_timeout=1.0,
            create_connection=_Socket,
        ) as socket:
            PUSH_CONNECTIONS.inc()
            try:
                for text in subscriptions(self._user):
                    await socket.send(text)
                await self._listen(socket)
            finally:
                PUSH_CONNECTIONS.dec()
                self._explain(socket)

    def _explain(self, socket: ClientConnection) -> None:
        flood = socket.flood if isinstance(socket, _Socket) else None
        if flood is not None and flood.is_flooded:
            self.why = "it sends more than it can have to say"

    async def _listen(self, socket: ClientConnection) -> None:
        self._pulsed()
        while not self.refused:
            # No block for so long, whatever else came: the subscriptions are gone.
            async with asyncio.timeout_at(self._pulse_at_s):
                # As bytes: text that is no UTF-8 costs its frame, not the connection.
                content = await socket.recv(decode=False)
            self._take(content)

    def _pulsed(self) -> None:
        self._pulse_at_s = asyncio.get_running_loop().time() + self._config.pulse_s

    def _take(self, content: bytes) -> None:
        said: Frame = guarded(_SOURCE, lambda: self._read(content))
        match said:
            case Pulse():
                self.alive = True
                self._pulsed()
            case Hint(address=address):
                if address == self._user:
                    HINTS.labels("push").inc()
                    self._hint(self._user)
            case Subscribed(number=number):
                self._subscribed(number)
            case SubscriptionRefused(number=number, code=code):
                _logger.warning(
                    "subscription refused", extra={"number": number, "code": code}
                )
                self.refused = number == _ADDRESS
            case Unusable():
                UPSTREAM_REJECTS.labels(_SOURCE).inc()

    def _subscribed(self, number: int) -> None:
        if number != _ADDRESS:
            return
        self.subscribed = True
        if self._stands is not None:
            self._stands()
        if self._missed:
            HINTS.labels("reconnect").inc()
            self._hint(self._user)
