"""The push over real sockets: hints that come, and connections that lie."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from ingest.config import PushConfig
from ingest.sources.push import PushPool
from runtime.clock import SystemClock
from schemas.ids import UserId
from simulator.server import Simulator
from tests.support.ingesting import LONG_S, Admin, admin_of, no_jitter, simulated

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
    async with pushing(ping_s=0.02, tick_s=0.02) as push:
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
