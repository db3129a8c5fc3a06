"""An upstream that goes away and comes back, in time that a test moves by hand."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import orjson

from ingest.config import IngestConfig, Upstream
from ingest.core.budget import Limits
from ingest.core.registry import Registry
from ingest.core.schedule import Pace, Schedule
from ingest.readings import Readings
from ingest.source_watch import SourceWatch
from ingest.sources.accounts import Accounts
from ingest.sources.client import UpstreamClient
from ingest.sources.moments import MomentSource
from ingest.tools import Tools
from ingest.writer import Writer
from schemas.ids import Network, UserId
from tests.support.clock import ManualClock, settle
from tests.support.ingesting import PARTITIONS, Seen, a_log

PER_MINUTE = 120
INTERVAL_S = 300.0


# By generation and by the last part of the path.
_BODIES: dict[tuple[int, str], dict[str, object]] = {
    (1, "balances"): {"stx": {"balance": "7"}, "fungible_tokens": {}},
    (2, "stx"): {"balance": "7"},
    (2, "ft"): {"limit": 200, "offset": 0, "total": 0, "results": []},
    (3, "stx"): {"balance": "7"},
    (3, "ft"): {"total": 0, "results": [], "cursor": {"next": None}},
}


@dataclass
class Hiro:
    """A whole upstream in one function: no socket, so no time but the test's passes."""

    clock: ManualClock
    down: bool = False
    # Whose account it cannot read.
    broken: UserId | None = None
    # What each generation of balances is answered with instead of an account.
    refused: dict[int, int] = field(default_factory=dict)
    # When each request came, in seconds, and for whom; and to which generation.
    asked: list[tuple[float, UserId]] = field(default_factory=list)
    generations: list[int] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        _, _, version, _, user, *rest = request.url.path.split("/")
        generation = int(version.removeprefix("v"))
        self.asked.append((self.clock.monotonic_s(), UserId(user)))
        self.generations.append(generation)
        if user == self.broken:
            return httpx.Response(500)
        if self.down:
            raise httpx.ConnectError("nobody there", request=request)
        if generation in self.refused:
            return httpx.Response(self.refused[generation])
        return httpx.Response(200, content=orjson.dumps(_BODIES[generation, rest[-1]]))

    def busiest_minute(self, start: int = 0) -> int:
        """Return how many requests came within a minute at most."""
        times = [at_s for at_s, _ in self.asked[start:]]
        return max(
            (sum(first <= at_s < first + 60 for at_s in times) for first in times),
            default=0,
        )


@dataclass
class Outage:
    """Readings at work on an upstream that the test takes away."""

    clock: ManualClock
    hiro: Hiro
    client: UpstreamClient
    readings: Readings
    accounts: Accounts
    seen: Seen
    writer: Writer

    async def pass_s(self, seconds: int) -> None:
        """Let time pass, a second after the other, all work done in each."""
        for _ in range(seconds):
            await self.clock.advance(1.0)
            while self.writer._count:  # noqa: ASYNC110 - the log is a thread with time of its own
                await asyncio.sleep(0)
            await settle()

    async def written(self) -> int:
        """Return how many readings are in the log."""
        ends = await self.seen._log.ends(tuple(self.seen._positions))
        return sum(ends.values())


@asynccontextmanager
async def outage(
    folder: Path, users: Sequence[UserId], *, generation: int = 1
) -> AsyncIterator[Outage]:
    """Poll users every five minutes, two requests a second at most."""
    clock = ManualClock()
    hiro = Hiro(clock)
    async with (
        a_log(folder) as log,
        httpx.AsyncClient(transport=httpx.MockTransport(hiro)) as http,
        asyncio.TaskGroup() as group,
    ):
        config = IngestConfig(instance="test")
        writer = Writer(log, config, partitions=PARTITIONS, clock=clock, draw=half)
        tools = Tools(clock, half, MomentSource(clock), writer, SourceWatch(clock))
        client = UpstreamClient(
            "hiro",
            Upstream("http://hiro", Limits(PER_MINUTE)),
            http=http,
            clock=clock,
            moments=tools.moments,
            draw=half,
        )
        accounts = accounts_of(client, generation=generation)
        readings = Readings(
            Schedule(Pace(interval_s=INTERVAL_S)),
            accounts=accounts,
            client=client,
            registry=Registry(),
            tools=tools,
        )
        readings.watch(list(users))
        tasks = [
            group.create_task(writer.run()),
            group.create_task(readings.run(readers=8)),
        ]
        yield Outage(clock, hiro, client, readings, accounts, Seen(log), writer)
        for task in tasks:
            task.cancel()


def half() -> float:
    return 0.5


def accounts_of(client: UpstreamClient, *, generation: int) -> Accounts:
    return Accounts(
        client,
        network=Network.MAINNET,
        chosen=lambda _: None,
        generation=generation,
        rewrite_after_s=86_400.0,
    )
