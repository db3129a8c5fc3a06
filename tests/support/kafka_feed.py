"""The whole feed in this process on a broker: simulator, ingest, processor and edge."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx

from app.topics import Wanted, apply
from edge.config import EdgeConfig
from edge.service import running
from eventlog.kafka import KafkaConfig, open_kafka
from eventlog.port import EventLog, Partition
from ingest.service import run as run_ingest
from processor.config import ProcessorConfig
from processor.service import run as run_processor
from runtime.clock import SystemClock
from runtime.health import Health
from schemas.ids import Network
from schemas.log import World
from schemas.topics import RAW
from tests.support.ingesting import Admin, admin_of, config_for, simulated
from tests.support.logs import PARTITIONS, read_all
from tests.support.oracle.derive import DEFAULTS, RawRecord, derive
from tests.support.pipeline import SHARDS, Told, check, follow_progress

# A broker that was killed needs some seconds, and others use this machine.
LIMIT_S = 25.0
STALE_S = 3.0
_LOOK_S = 0.02
_WANTED = Wanted(Network.MAINNET, World.SIMULATED, PARTITIONS, audit_days=0)
_PRICES = "/parties/prices/main"


def impatient(bootstrap: str) -> KafkaConfig:
    """A log of its own, with limits that a test can wait for."""
    return KafkaConfig(
        bootstrap,
        prefix=f"f{uuid4().hex[:12]}.",
        session_timeout_ms=6_000,
        open_limit_s=5.0,
        request_limit_s=2.0,
        commit_limit_s=4.0,
        silence_limit_s=1.0,
        stop_limit_s=0.5,
    )


@dataclass
class Feed:
    """The running services, by what an operator sees of them."""

    log: EventLog
    admin: Admin
    edge: httpx.AsyncClient
    ingest: Health
    processor: Health
    _ingesting: "asyncio.Task[None]"

    async def until(self, what: str, happened: Callable[[], object]) -> None:
        """Wait until a service has come to something; fail with ``what`` if not."""
        try:
            async with asyncio.timeout(LIMIT_S):
                while not happened():  # noqa: ASYNC110 - health is asked, it does not tell
                    await asyncio.sleep(_LOOK_S)
        except TimeoutError:
            said = {**self.ingest.reasons(), **self.processor.reasons()}
            raise AssertionError(f"did not happen: {what}; {said}") from None

    async def well(self) -> None:
        """Wait until no service has anything to say."""
        healths = (self.ingest, self.processor)
        await self.until("all well", lambda: not any(h.reasons() for h in healths))

    async def prices(self) -> dict[str, Any]:
        """Return what the edge serves: prices by token, and when each was observed."""
        answer = await self.edge.get(_PRICES)
        assert answer.status_code == 200, answer.text
        served = answer.json()["prices"]
        return {
            each["contractId"]: (each["price"], each["timestamp"]) for each in served
        }

    async def news(self) -> None:
        """Wait until the edge serves prices that it does not serve now."""
        before = await self.prices()
        async with asyncio.timeout(LIMIT_S):
            while await self.prices() == before:  # noqa: ASYNC110 - asked as a client does
                await asyncio.sleep(_LOOK_S)

    async def readiness(self) -> tuple[int, list[str]]:
        """Return the status of the edge's ``/health/ready`` and its warnings."""
        answer = await self.edge.get("/health/ready")
        return answer.status_code, answer.json()["warnings"]

    async def warns(self, text: str | None) -> None:
        """Wait until the edge warns of ``text``, or of nothing; it stays ready."""
        async with asyncio.timeout(LIMIT_S):
            while True:
                status, warnings = await self.readiness()
                assert status == 200
                if (text in f"{warnings}") if text else not warnings:
                    return
                await asyncio.sleep(_LOOK_S)

    async def checked(self) -> None:
        """Stop ingest, let everything be folded, and compare it with a second fold."""
        self._ingesting.cancel()
        await asyncio.wait({self._ingesting})
        parts = [Partition(topic, shard) for topic in RAW for shard in SHARDS]
        ends = {at: end for at, end in (await self.log.ends(parts)).items() if end}
        async with follow_progress(self.log) as progress:
            await progress.reached({(at.topic, at.number): ends[at] for at in ends})
        raw = {
            (at.topic, at.number): [RawRecord(r[0], r[1], r[2], r[3]) for r in records]
            for at, records in (await read_all(self.log, parts)).items()
        }
        await check(self.log, Told((), raw, derive(raw, DEFAULTS)))


@asynccontextmanager
async def feed(config: KafkaConfig, **ingest: Any) -> AsyncIterator[Feed]:
    """Run everything, each service on a handle of its own; wait until all is well.

    Prices move all the time. ``ingest`` changes its configuration.
    """
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        simulator = await stack.enter_async_context(simulated(tick_s=0.05, tokens=20))
        admin = await stack.enter_async_context(admin_of(simulator))
        logs = [await stack.enter_async_context(open_kafka(config)) for _ in range(4)]
        await apply(logs[0], _WANTED, new_id="0" * 32, now_ms=clock.now_ms)
        told = Health(), Health()
        group = await stack.enter_async_context(asyncio.TaskGroup())
        opened = running(
            logs[1],
            EdgeConfig("edge", port=0, stale_s=STALE_S),
            partitions=PARTITIONS,
            clock=clock,
        )
        settings = config_for(simulator.url, price_interval_s=0.3, **ingest)
        ingesting = group.create_task(
            run_ingest(
                logs[2], settings, partitions=PARTITIONS, clock=clock, health=told[0]
            )
        )
        processing = group.create_task(
            run_processor(logs[3], ProcessorConfig("p"), clock, health=told[1])
        )
        edge = await stack.enter_async_context(opened)
        base = f"http://127.0.0.1:{edge.port}"
        http = await stack.enter_async_context(httpx.AsyncClient(base_url=base))
        await edge.caught_up.wait()
        running_feed = Feed(logs[0], admin, http, *told, ingesting)
        await running_feed.well()
        await running_feed.warns(None)
        yield running_feed
        for task in (ingesting, processing):
            task.cancel()
