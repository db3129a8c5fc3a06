"""Several ingests at one log, each with an upstream of its own that tells them apart.

In the world of the n-th instance every account holds n STX and STX costs n dollars: what
a reading says shows who made it.
"""

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

from eventlog.partition import partition_of
from eventlog.port import Cleanup, Entry, EventLog, Partition, TopicSpec
from ingest.core.history import Observation
from ingest.core.schedule import Pace
from ingest.service import run
from runtime.clock import SystemClock
from runtime.health import Health
from schemas.balances import AccountConfirmed, AccountRead
from schemas.base import encode
from schemas.demand import Lease
from schemas.ids import STX, UserId
from schemas.prices import PriceObserved
from schemas.topics import DEMAND, RAW, TOPICS, partition_key
from simulator.core.genesis import Holding
from simulator.core.market import pin
from simulator.server import Simulator
from tests.support.ingesting import Seen, config_for, no_jitter, simulated
from tests.support.logs import Place, open_at
from tests.support.processor_process import kill
from tests.support.shared_data import ROOT

PARTITIONS = 6
_INTERVAL_S = 0.25


def config_of(url: str, instance: str) -> Any:
    """Every user again and again, prices too; nothing else."""
    return replace(
        config_for(url),
        instance=instance,
        price_sources=("kraxel",),
        price_interval_s=_INTERVAL_S,
        pace=Pace(interval_s=_INTERVAL_S),
    )


async def ingest_at(place: Place, url: str, instance: str, health: Health) -> None:
    async with open_at(place) as log:
        config = config_of(url, instance)
        clock = SystemClock()
        await run(
            log,
            config,
            partitions=PARTITIONS,
            clock=clock,
            draw=no_jitter,
            health=health,
        )


def shard_of(user: UserId) -> int:
    return partition_of(partition_key(user.encode()), PARTITIONS)


@dataclass
class Member:
    """One instance in this process."""

    number: int
    health: Health
    task: "asyncio.Task[None]" = field(repr=False)

    @property
    def shards(self) -> frozenset[int]:
        shards: Any = self.health.report().facts.get("shards", [])
        return frozenset(shards)


class Told(Seen):
    """What all instances have written, and who wrote it."""

    def __init__(self, log: EventLog) -> None:
        super().__init__(log)
        self._positions = {Partition(t, n): 0 for t in RAW for n in range(PARTITIONS)}

    async def until(self, enough: Callable[[list[Observation]], bool]) -> None:
        """Read on as others do, but have the patience that moving shards ask for."""
        for _ in range(2):
            with suppress(TimeoutError):
                return await super().until(enough)
        return await super().until(enough)

    def readers(self, start: int = 0) -> dict[UserId, list[int]]:
        """Return who read each user, reading by reading, from the ``start``-th on."""
        wrote: dict[str, int] = {}
        found: dict[UserId, list[int]] = {}
        for at, (seen, value) in enumerate(zip(self.all, self.values, strict=True)):
            number = _number(seen, value, wrote)
            if number is not None and at >= start:
                found.setdefault(seen.user_id, []).append(number)  # type: ignore[union-attr]
        return found

    def whole(self, start: int) -> set[UserId]:
        """Return of whom there was a whole reading from the ``start``-th on."""
        return {one.user_id for one in self.all[start:] if isinstance(one, AccountRead)}

    def pricers(self, start: int = 0) -> set[str]:
        """Return what STX cost: who polled prices."""
        return {
            one.usd
            for one in self.all[start:]
            if isinstance(one, PriceObserved) and one.contract_id == STX
        }


def _number(seen: Observation, value: bytes, wrote: dict[str, int]) -> int | None:
    match seen:
        case AccountRead():
            [amount] = [h.balance for h in seen.holdings if h.contract_id == STX]
            wrote[sha256(value).hexdigest()] = int(amount)
            return int(amount)
        case AccountConfirmed():
            return wrote[seen.reading]
        case _:
            return None


@dataclass
class Crowd:
    """A log, those who ingest into it, and whom they are to read."""

    place: Place
    log: EventLog
    users: Sequence[UserId]
    seen: Told
    _stack: AsyncExitStack = field(repr=False)
    _group: asyncio.TaskGroup = field(repr=False)

    async def join(self, number: int) -> Member:
        """Let one more instance begin in this process."""
        health, url = Health(), await self._world(number)
        work = ingest_at(self.place, url, f"i{number}", health)
        return Member(number, health, self._group.create_task(work))

    async def join_process(self, number: int) -> "Lone":
        """Let one more instance begin in a process of its own."""
        url = await self._world(number)
        names = (self.place.kind, self.place.address, self.place.prefix, url)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.support.crowd",
            *names,
            f"i{number}",
            cwd=ROOT,
            stderr=PIPE,
        )
        lone = Lone(process)
        self._stack.push_async_callback(lone.kill)
        return lone

    async def read_by(self, *numbers: int, start: int = 0) -> None:
        """Wait until all users are read, and by all of these, from the start on."""
        wanted = set(numbers)

        def enough(_: object) -> bool:
            by = self.seen.readers(start)
            last = {readers[-1] for readers in by.values()}
            return len(by) == len(self.users) and last == wanted

        await self.seen.until(enough)

    async def _world(self, number: int) -> str:
        simulator = await self._stack.enter_async_context(simulated())
        mark(simulator, number)
        return simulator.url


@dataclass
class Lone:
    """One instance in a process of its own."""

    process: Process

    async def kill(self) -> None:
        """Kill it as ``kill -9`` does, once."""
        if self.process.returncode is None:
            await kill(self.process)


def mark(simulator: Simulator, number: int) -> None:
    """Let a world say whose it is."""
    stage = simulator.stage
    for user in stage.world.accounts:
        stage.ledger.put(user, STX, Holding(number, 0, number))
    stage.market = pin(stage.market, STX, float(number))


@asynccontextmanager
async def crowd(place: Place) -> AsyncIterator[Crowd]:
    """Lease the users of a small world; nobody reads them yet."""
    async with AsyncExitStack() as stack:
        log = await stack.enter_async_context(open_at(place))
        keep = Cleanup(compact=False, retention_ms=None)
        await log.create([TopicSpec(t.name, PARTITIONS, keep) for t in TOPICS])
        world = await stack.enter_async_context(simulated())
        users = [UserId(user) for user in world.stage.world.accounts[:24]]
        await _lease(log, users)
        async with asyncio.TaskGroup() as group:
            yield Crowd(place, log, users, Told(log), stack, group)
            for task in tuple(group._tasks):
                task.cancel()


async def _lease(log: EventLog, users: Sequence[UserId]) -> None:
    until_ms = SystemClock().now_ms() + 600_000
    entries = [
        (
            shard_of(user),
            Entry(
                f"{user}|e".encode(),
                encode(
                    Lease(user_id=user, edge="e", renewed_at=0, expires_at=until_ms)
                ),
            ),
        )
        for user in users
    ]
    await log.append(DEMAND, entries)


if __name__ == "__main__":
    kind, address, prefix, url, instance = sys.argv[1:]
    asyncio.run(ingest_at(Place(kind, address, prefix), url, instance, Health()))
