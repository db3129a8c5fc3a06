"""Hiro's WebSocket: hints that a user should be read again, nothing more."""

import asyncio
import logging
from collections.abc import Callable, Sequence

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from ingest.config import PushConfig
from ingest.core.backoff import delay_s
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
from ingest.sources.guard import guarded
from runtime.clock import Clock
from runtime.metrics import HINTS, PUSH_CONNECTIONS, UPSTREAM_REJECTS
from schemas.ids import UserId

_logger = logging.getLogger("ingest.push")
_SOURCE = "push"
_BASE_S, _CAP_S = 1.0, 60.0
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
    ) -> None:
        self._config, self._hint = config, hint
        self._clock, self._draw = clock, draw
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
        """Stay connected for one user; end only when the address is refused."""
        attempt, missed = 0, False
        while True:
            connection = _Connection(user, self._config, self._hint, missed=missed)
            try:
                await connection.run(str(self._config.url))
            except (OSError, TimeoutError, WebSocketException) as error:
                _logger.info("push connection lost", extra={"why": str(error)})
            if connection.refused:
                return
            # What happened from here to the next subscription nobody will tell us.
            missed = missed or connection.subscribed
            attempt = 0 if connection.alive else attempt + 1
            wait_s = delay_s(attempt, draw=self._draw(), base_s=_BASE_S, cap_s=_CAP_S)
            await self._clock.sleep(wait_s)


class _Connection:
    """One connection, until it fails."""

    def __init__(
        self,
        user: UserId,
        config: PushConfig,
        hint: Callable[[UserId], None],
        *,
        missed: bool,
    ) -> None:
        self._user, self._config, self._hint = user, config, hint
        self._missed = missed
        self._pulse_at_s = 0.0
        self.subscribed = self.alive = self.refused = False

    async def run(self, url: str) -> None:
        """Connect, subscribe, pass hints on. Raises when the connection is no good."""
        async with connect(
            url,
            open_timeout=self._config.open_timeout_s,
            max_size=self._config.max_message_bytes,
            close_timeout=1.0,
        ) as socket:
            PUSH_CONNECTIONS.inc()
            try:
                for text in subscriptions(self._user):
                    await socket.send(text)
                await self._listen(socket)
            finally:
                PUSH_CONNECTIONS.dec()

    async def _listen(self, socket: ClientConnection) -> None:
        self._pulsed()
        while not self.refused:
            # No block for so long, whatever else came: the subscriptions are gone.
            async with asyncio.timeout_at(self._pulse_at_s):
                text = await socket.recv()
            self._take(text)

    def _pulsed(self) -> None:
        self._pulse_at_s = asyncio.get_running_loop().time() + self._config.pulse_s

    def _take(self, text: str | bytes) -> None:
        said: Frame = guarded(_SOURCE, lambda: frame(text))
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
        if self._missed:
            HINTS.labels("reconnect").inc()
            self._hint(self._user)
