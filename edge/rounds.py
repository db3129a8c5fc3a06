"""What comes again and again for the clients: pings, heartbeats, a look at who takes nothing."""

from edge.clients import CLIENTS_A_TURN, Clients
from edge.config import EdgeConfig
from edge.core.events import COMMENT
from edge.core.frames import ping_frame
from edge.core.hub import Hub
from edge.core.patience import Timetable, is_late
from edge.follower import Follower
from runtime.clock import Clock

_PING = ping_frame()
_COMMENT_S = 15.0  # sooner than proxies give up a quiet stream
# Looks at a client that is behind before it is dropped for taking nothing, and at how old
# values are before they may be called old.
_LOOKS = 6


class Rounds:
    """Goes round all clients, on one timer.

    When our own loop stood still nobody is judged by that round: what clients did
    meanwhile may lie unread.
    """

    def __init__(
        self,
        config: EdgeConfig,
        hub: Hub,
        clients: Clients,
        follower: Follower,
        *,
        clock: Clock,
    ) -> None:
        self._config, self._hub, self._clients = config, hub, clients
        self._follower, self._clock = follower, clock

    async def run(self) -> None:
        """Go on for ever."""
        config, clock = self._config, self._clock
        every_s = {
            "ping": config.ping_s,
            "stall": config.stall_s / _LOOKS,
            "comment": _COMMENT_S,
            "freshness": config.stale_s / _LOOKS,
        }
        if "heartbeat" in config.features:
            every_s["heartbeat"] = config.heartbeat_s
        every_s = {task: each_s for task, each_s in every_s.items() if each_s > 0}
        timetable = Timetable(every_s, now_s=clock.monotonic_s())
        while True:
            started_s = clock.monotonic_s()
            planned_s = timetable.wait_s(now_s=started_s)
            await clock.sleep(planned_s)
            now_s = clock.monotonic_s()
            late = is_late(now_s - started_s, planned_s=planned_s)
            for task in timetable.due(now_s=now_s):
                await self._do(task, late=late)

    async def _do(self, task: str, *, late: bool) -> None:
        match task:
            case "ping":
                await self._ping(late=late)
            case "comment":
                await self._comment()
            case "stall":
                self._drop_stalled(late=late)
            case "freshness":
                self._follower.look_at_freshness()
            case _:
                await self._send_heartbeats()

    async def _ping(self, *, late: bool) -> None:
        """Ping all clients; drop those that gave no sign of life since the last ping.

        A client that is behind cannot be expected to see a ping before the rest.
        """
        speaking = (each for each in self._clients if not each.listens_only)
        for number, client in enumerate(speaking, start=1):
            if not self._hub.is_behind(client.id):
                if client.pulse.beat(late=late):
                    self._clients.send(client, _PING)
                else:
                    self._clients.drop(client, "no pong")
            if number % CLIENTS_A_TURN == 0:
                await self._clock.sleep(0)

    async def _comment(self) -> None:
        """Write a sign of life to streams on which nothing waits."""
        listening = (each for each in self._clients if each.listens_only)
        for number, client in enumerate(listening, start=1):
            if not self._hub.is_behind(client.id):
                self._clients.send(client, COMMENT)
            if number % CLIENTS_A_TURN == 0:
                await self._clock.sleep(0)

    def _drop_stalled(self, *, late: bool) -> None:
        now_s = self._clock.monotonic_s()
        for client in self._clients:
            if late or not self._hub.is_behind(client.id):
                client.progress.took()
                continue
            stalled_s = client.progress.stalled_s(client.backlog_bytes, now_s=now_s)
            if stalled_s >= self._config.stall_s:
                self._clients.drop(client, "stalled")

    async def _send_heartbeats(self) -> None:
        stale = self._follower.stale() is not None
        old = self._follower.old_prices()
        now_ms = self._clock.now_ms()
        for writes in self._hub.heartbeats(
            stale=stale, old=old, now_ms=now_ms, at_once=CLIENTS_A_TURN
        ):
            self._clients.send_all(writes)
            await self._clock.sleep(0)
