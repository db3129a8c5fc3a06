"""The push over real sockets: hints that come, and connections that lie."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from ingest.config import PushConfig
from ingest.core.normalize.push import Frame, frame
from ingest.sources.push import PushPool
from runtime.clock import Clock, SystemClock
from runtime.metrics import UPSTREAM_REJECTS
from schemas.ids import UserId
from simulator.server import Simulator
from tests.support.clock import ManualClock
from tests.support.ingesting import LONG_S, Admin, admin_of, no_jitter, simulated
from tests.support.replaying import (
    BINARY,
    CONTINUATION,
    DATA,
    PING,
    Answer,
    Asked,
    Replaying,
    Reply,
    accepted,
    replaying,
    ws_frame,
)
from tests.support.tasks import beside

NOBODY = UserId("SPnobody")


@dataclass
class Hints:
    """The hints that came, in order."""

    queue: "asyncio.Queue[UserId]" = field(default_factory=asyncio.Queue)

    def hint(self, user: UserId) -> None:
        self.queue.put_nowait(user)

    async def next(self) -> UserId:
        async with asyncio.timeout(LONG_S):
            return await self.queue.get()


@dataclass
class Pushing:
    """A pool at work against a simulator."""

    pool: PushPool
    hints: Hints
    admin: Admin
    simulator: Simulator
    users: list[UserId]

    async def subscribed(self, *users: UserId) -> None:
        """Wait until exactly these users have a connection that stands."""
        await self.until(lambda: sorted(self._subjects()) == sorted(users))

    async def until(self, done: Callable[[], bool]) -> None:
        async with asyncio.timeout(LONG_S):
            while not done():  # noqa: ASYNC110 - the simulator has no event for it
                # Real sockets between two parts of this process: let them work.
                await asyncio.sleep(0)

    async def touch(self, user: UserId, amount: int = 5) -> None:
        await self.admin.post(
            "balance", user=user, contractId="stx", amount=str(amount)
        )

    def _subjects(self) -> list[str]:
        topics = [t for one in self.simulator.stage.listeners for t in one.topics]
        return [topic.subject for topic in topics if topic.subject is not None]


@asynccontextmanager
async def pushing(
    *, connections: int = 5, pulse_s: float = 60.0, **world: float
) -> AsyncIterator[Pushing]:
    hints = Hints()
    async with simulated(**world) as simulator, admin_of(simulator) as admin:
        url = f"ws{simulator.url.removeprefix('http')}/hiro/extended/v1/ws"
        pool = PushPool(
            PushConfig(url=url, connections=connections, pulse_s=pulse_s),
            hint=hints.hint,
            clock=SystemClock(),
            draw=no_jitter,
        )
        accounts = [UserId(one) for one in (await admin.world())["accounts"][:3]]
        async with asyncio.TaskGroup() as group:
            task = group.create_task(pool.run())
            yield Pushing(pool, hints, admin, simulator, accounts)
            task.cancel()


async def test_a_transaction_of_a_watched_user_is_a_hint() -> None:
    async with pushing() as push:
        ann, bob, _ = push.users
        push.pool.watch([ann, bob])
        await push.subscribed(ann, bob)
        await push.touch(bob)
        assert await push.hints.next() == bob
        await push.touch(ann)
        assert await push.hints.next() == ann


async def test_there_is_one_connection_an_address_for_the_newest_users() -> None:
    async with pushing(connections=2) as push:
        ann, bob, cyd = push.users
        push.pool.watch([ann, bob])
        await push.subscribed(ann, bob)
        push.pool.watch([ann, bob, cyd])
        await push.subscribed(bob, cyd)
        assert len(push.simulator.stage.listeners) == 2
        push.pool.watch([cyd])
        await push.subscribed(cyd)


async def test_all_addresses_survive_pings_that_leave_one_a_connection() -> None:
    # A pong that is late counts as none: a ping may not come sooner than a busy turn.
    async with pushing(ping_s=0.3, tick_s=0.2) as push:
        ann, bob, _ = push.users
        await push.admin.fault("push", "drop-subscriptions")
        push.pool.watch([ann, bob])
        await push.subscribed(ann, bob)
        height = push.simulator.stage.ledger.tip.height
        await push.until(lambda: push.simulator.stage.ledger.tip.height > height + 5)
        await push.subscribed(ann, bob)


async def test_a_connection_that_was_lost_comes_back_and_the_user_is_read() -> None:
    async with pushing() as push:
        ann = push.users[0]
        push.pool.watch([ann])
        await push.subscribed(ann)
        await push.admin.fault("push", "disconnect", count=1)
        await push.touch(ann)
        assert await push.hints.next() == ann
        await push.subscribed(ann)
        await push.touch(ann, 6)
        assert await push.hints.next() == ann


@pytest.mark.parametrize("kind", ["mute", "delete-subscriptions"])
async def test_a_connection_without_a_pulse_is_dead_although_it_is_open(
    kind: str,
) -> None:
    async with pushing(pulse_s=0.3, ping_s=0.02, tick_s=0.02) as push:
        ann = push.users[0]
        push.pool.watch([ann])
        await push.subscribed(ann)
        # For longer than a pulse may stay away, and then all is well again.
        await push.admin.fault("push", kind, count=40)
        assert await push.hints.next() == ann
        await push.subscribed(ann)


async def test_a_frame_that_makes_no_sense_costs_nothing() -> None:
    async with pushing() as push:
        ann = push.users[0]
        push.pool.watch([ann])
        await push.subscribed(ann)
        # The block and the hint of it, both spoilt.
        await push.admin.fault("push", "malformed", count=2)
        await push.touch(ann)
        await push.touch(ann, 6)
        assert await push.hints.next() == ann
        assert len(push.simulator.stage.listeners) == 1


async def test_an_address_that_is_refused_is_not_asked_for_again() -> None:
    async with pushing() as push:
        ann = push.users[0]
        push.pool.watch([NOBODY, ann])
        await push.subscribed(ann)
        await push.until(lambda: len(push.simulator.stage.listeners) == 1)
        await push.touch(ann)
        assert await push.hints.next() == ann


async def test_an_upstream_without_push_is_tried_again() -> None:
    async with pushing() as push:
        ann = push.users[0]
        await push.admin.fault("push", "503", count=2)
        push.pool.watch([ann])
        await push.subscribed(ann)


USER = UserId("SP2ZNGJ85ENDY6QRHQ5P2D4FXKGZWCKTB2T0Z55KS")
HINT = ws_frame(
    b'{"method": "address_balance_update", "params": {"address": "%s"}}' % USER.encode()
)
SUBSCRIBED = ws_frame(b'{"id": 2, "result": {}}')
BLOCK = ws_frame(b'{"method": "block", "params": {}}')


@dataclass
class Lone:
    """A pool for one user, at a server of a test."""

    server: Replaying
    hints: Hints

    async def tried(self, times: int) -> None:
        """Wait until it has connected so often."""
        async with asyncio.timeout(LONG_S):
            await self.server.until(lambda asked: len(asked) >= times)


@asynccontextmanager
async def lone(
    answer: Answer, *, clock: Clock | None = None, **more: Any
) -> AsyncIterator[Lone]:
    hints = Hints()
    async with replaying(answer) as server:
        pool = PushPool(
            PushConfig(url=f"ws{server.url.removeprefix('http')}/ws"),
            clock=clock or SystemClock(),
            draw=no_jitter,
            **{"hint": hints.hint, **more},
        )
        pool.watch([USER])
        async with beside(pool.run()):
            yield Lone(server, hints)


def push_redirects() -> dict[str, Any]:
    said = json.loads((DATA / "push-redirects.json").read_text())
    return {entry["name"]: entry for entry in said["answers"]}


@pytest.mark.parametrize("name", push_redirects())
async def test_a_redirect_is_a_lost_connection_and_nobody_else_is_asked(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    entry = push_redirects()[name]
    async with replaying(lambda _: Reply(404)) as elsewhere:
        port = elsewhere.url.rpartition(":")[2]
        headers = [(k, v.replace("@PORT@", port)) for k, v in entry["headers"]]
        async with lone(lambda _: Reply(entry["status"], headers)) as push:
            await push.tried(3)
        assert not elsewhere.asked
    assert [line.message for line in caplog.records] == ["push connection lost"]


ODD = b'{"method": "address_balance_update", "params": {"address": "\xff"}}'
WAYS_TO_FAIL: dict[str, Callable[[Asked], Reply]] = {
    "no HTTP": lambda _: Reply(raw=b"\x00\xff\r\n\r\n", close=True),
    "nothing": lambda _: Reply(raw=b"", close=True),
    "a status beyond all": lambda _: Reply(999, close=True),
    "a wrong key": lambda _: Reply(101, [("Upgrade", "websocket")], close=True),
    "two upgrades": lambda asked: accepted(asked, more=[("Upgrade", "h2c")]),
    "an extension of its own": lambda asked: accepted(
        asked, more=[("Sec-WebSocket-Extensions", "permessage-deflate")]
    ),
    "a compressed frame": lambda asked: accepted(asked, b"\xc1\x01\x00"),
    "a masked frame": lambda asked: accepted(asked, b"\x81\x81\x00\x00\x00\x00a"),
    "a frame of an exabyte": lambda asked: accepted(
        asked, b"\x81\x7f" + (2**60).to_bytes(8)
    ),
    "a message above the limit": lambda asked: accepted(
        asked, ws_frame(bytes(1_048_577))
    ),
    "empty fragments without end": lambda asked: accepted(
        asked,
        ws_frame(b"", fin=False) + ws_frame(b"", CONTINUATION, fin=False) * 100_000,
    ),
    "empty messages without end": lambda asked: accepted(
        asked, ws_frame(b"") * 100_000
    ),
    "pings without end": lambda asked: accepted(asked, ws_frame(b"", PING) * 100_000),
    "more bytes than there are to say": lambda asked: accepted(
        asked, ws_frame(bytes(1_000_000)) * 5
    ),
}


@pytest.mark.parametrize("way", WAYS_TO_FAIL)
async def test_whatever_a_push_server_does_is_one_line_and_another_try(
    way: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with lone(WAYS_TO_FAIL[way]) as push:
        await push.tried(3)
    assert [line.message for line in caplog.records] == ["push connection lost"]


async def test_a_flood_is_said_to_be_one(caplog: pytest.LogCaptureFixture) -> None:
    async with lone(WAYS_TO_FAIL["pings without end"]) as push:
        await push.tried(2)
    assert "more than it can have" in caplog.records[0].__dict__["why"]


async def test_a_frame_that_is_no_utf_8_costs_that_frame() -> None:
    frames = (ws_frame(ODD), ws_frame(b"\xff", BINARY), SUBSCRIBED, BLOCK)
    async with lone(lambda asked: accepted(asked, *frames, HINT)) as push:
        assert await push.hints.next() == USER
        assert len(push.server.asked) == 1


async def test_a_bug_in_reading_frames_costs_no_more_than_the_frame(
    caplog: pytest.LogCaptureFixture,
) -> None:
    counted = UPSTREAM_REJECTS.labels("push")
    before = counted._value.get()

    def broken(content: bytes) -> Frame:
        if b"block" in content:
            raise LookupError
        return frame(content)

    async with lone(
        lambda asked: accepted(asked, BLOCK, BLOCK, HINT), read=broken
    ) as push:
        assert await push.hints.next() == USER
        assert counted._value.get() == before + 2
        assert len(push.server.asked) == 1
    [bug] = [line for line in caplog.records if line.exc_info]
    assert bug.__dict__["source"] == "push"


async def test_an_error_nobody_expected_is_a_lost_connection(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(_: UserId) -> None:
        raise ZeroDivisionError

    async with lone(lambda asked: accepted(asked, HINT), hint=broken) as push:
        await push.tried(3)
    assert sorted(line.message for line in caplog.records) == [
        "answer not readable for a bug",
        "push connection lost",
    ]


async def test_an_address_that_was_refused_is_asked_for_again_an_hour_later() -> None:
    refused = ws_frame(b'{"id": 2, "error": {"code": -32602}}')
    clock = ManualClock()
    async with lone(lambda asked: accepted(asked, refused), clock=clock) as push:
        await clock.until_asleep()
        await clock.advance(3_599.0)
        assert len(push.server.asked) == 1
        await clock.advance(1.0)
        await push.tried(2)


async def test_a_loss_is_told_once_and_so_is_its_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    answers = iter([Reply(503), Reply(503)])

    def answer(asked: Asked) -> Reply:
        return next(answers, None) or accepted(asked, SUBSCRIBED)

    async with lone(answer) as push:
        await push.tried(3)
        async with asyncio.timeout(LONG_S):
            while len(caplog.records) < 2:  # noqa: ASYNC110 - a log line has no event
                await asyncio.sleep(0)
    assert [line.message for line in caplog.records] == [
        "push connection lost",
        "push connections stand",
    ]


async def test_a_connection_that_comes_and_goes_is_waited_for_longer_each_time() -> (
    None
):
    waits: list[float] = []

    class Waiting(ManualClock):
        async def sleep(self, seconds: float) -> None:
            waits.append(seconds)
            await asyncio.sleep(0)

    async with replaying(
        lambda asked: replace(
            accepted(asked, SUBSCRIBED, BLOCK), stall=False, close=True
        )
    ) as server:
        pool = PushPool(
            PushConfig(url=f"ws{server.url.removeprefix('http')}/ws"),
            hint=Hints().hint,
            clock=Waiting(),
            draw=lambda: 0.5,
        )
        pool.watch([NOBODY])
        async with beside(pool.run()):
            await server.until(lambda asked: len(asked) >= 9)
    assert waits[:8] == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]
