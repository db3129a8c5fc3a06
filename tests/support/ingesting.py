"""Ingest against the simulator, on a log of its own: what its tests start and ask."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx

from eventlog.partition import partition_of
from eventlog.port import Cleanup, Entry, EventLog, Partition, TopicSpec
from eventlog.sqlite import SqliteConfig, open_sqlite
from ingest.config import IngestConfig, PushConfig, Upstream
from ingest.core.budget import Limits
from ingest.core.history import Observation
from ingest.core.schedule import Pace
from ingest.service import run
from ingest.sources.client import UpstreamClient, http_client
from ingest.sources.moments import MomentSource
from runtime.clock import Clock, SystemClock
from runtime.health import Health
from schemas.balances import Balance, SubnetPart
from schemas.base import decoder, encode
from schemas.demand import Lease, Refresh, RefreshKind
from schemas.ids import ContractId, UserId
from schemas.latest import balance_key, token_key
from schemas.tokens import Token, TokenFields
from schemas.topics import DEMAND, LATEST, RAW, TOPICS, partition_key
from simulator.config import SimulatorConfig
from simulator.server import Simulator, running

PARTITIONS = 2
LONG_S = 20.0  # how long a test waits for what must come; never how long it takes
_DAY_MS = 86_400_000
_PLENTY = Limits(per_minute=600_000)
_observed = decoder(Observation)


def no_jitter() -> float:
    return 0.0


def upstream(url: str, **changes: Any) -> Upstream:
    """An upstream with limits that do not bind and little patience."""
    return replace(Upstream(url, _PLENTY, timeout_s=5.0), **changes)


def config_for(url: str, **changes: Any) -> IngestConfig:
    """Ingest against the simulator at ``url``: everything at once, then once an hour."""
    config = IngestConfig(
        instance="test",
        hiro=upstream(f"{url}/hiro"),
        kraxel=upstream(f"{url}/kraxel"),
        stxtools=upstream(f"{url}/stxtools"),
        invest=upstream(f"{url}/invest"),
        tokens=upstream(f"{url}/tokens"),
        push=PushConfig(url=None),
        price_sources=("kraxel", "stxtools", "internal"),
        first_price_s=0.0,
        price_interval_s=3_600.0,
        pace=Pace(interval_s=3_600.0, hint_gap_s=0.0),
    )
    changed = replace(config, **changes)
    if changed.push.url is None:
        return changed
    socket = f"ws{url.removeprefix('http')}/hiro/extended/v1/ws"
    return replace(changed, push=replace(changed.push, url=socket))


@asynccontextmanager
async def simulated(**changes: Any) -> AsyncIterator[Simulator]:
    """A small world that moves only when told to."""
    config = SimulatorConfig(accounts=50, tokens=40, tick_s=0.0)
    async with running(replace(config, **changes)) as simulator:
        yield simulator


@asynccontextmanager
async def client_of(
    simulator: Simulator, name: str, *, clock: Clock | None = None, **changes: Any
) -> AsyncIterator[UpstreamClient]:
    """A client of one upstream of the simulator."""
    clock = clock or SystemClock()
    async with http_client() as http:
        yield UpstreamClient(
            name,
            upstream(f"{simulator.url}/{name}", **changes),
            http=http,
            clock=clock,
            moments=MomentSource(clock),
            draw=no_jitter,
        )


@dataclass
class Admin:
    """The operator's side of a simulator."""

    http: httpx.AsyncClient

    async def world(self) -> dict[str, Any]:
        found: dict[str, Any] = (await self.http.get("/admin/world")).json()
        return found

    async def user(self) -> UserId:
        return UserId((await self.world())["accounts"][0])

    async def fault(self, upstream: str, kind: str, **more: Any) -> None:
        await self.post("faults", upstream=upstream, kind=kind, **more)

    async def heal(self) -> None:
        await self.http.delete("/admin/faults")

    async def post(self, path: str, /, **body: Any) -> None:
        answered = await self.http.post(f"/admin/{path}", json=body)
        assert answered.status_code == 200, answered.text

    async def requests(self, upstream: str) -> int:
        """How many requests an upstream has had."""
        counts = (await self.http.get("/admin/requests")).json()["upstreams"]
        return sum(counts.get(upstream, {}).values())


@asynccontextmanager
async def admin_of(simulator: Simulator) -> AsyncIterator[Admin]:
    async with httpx.AsyncClient(base_url=simulator.url, timeout=LONG_S) as http:
        yield Admin(http)


@asynccontextmanager
async def a_log(folder: Path) -> AsyncIterator[EventLog]:
    """A fresh log with all topics."""
    clock = SystemClock()
    path = SqliteConfig(folder / "log.sqlite", now_ms=clock.now_ms)
    async with open_sqlite(path) as log:
        keep = Cleanup(compact=False, retention_ms=None)
        await log.create([TopicSpec(t.name, PARTITIONS, keep) for t in TOPICS])
        yield log


class Seen:
    """The observations in the raw topics, as they come."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._positions = {Partition(t, n): 0 for t in RAW for n in range(PARTITIONS)}
        self.all: list[Observation] = []
        self.values: list[bytes] = []

    async def until(self, enough: Callable[[list[Observation]], bool]) -> None:
        """Read on until ``enough`` of what was seen so far."""
        async with asyncio.timeout(LONG_S), self._log.reader(self._positions) as reader:
            while not enough(self.all):
                batches = await reader.read(max_records=500, wait_s=1.0)
                values = [r.value or b"" for found in batches.values() for r in found]
                self.values += values
                self.all += map(_observed, values)
                self._positions = {p: reader.position(p) for p in self._positions}

    async def next(self, kind: type[Any], count: int = 1) -> list[Any]:
        """Wait for ``count`` more of one kind than there are now; return the new ones."""
        had = len(self.of(kind))
        await self.until(lambda _: len(self.of(kind)) >= had + count)
        return self.of(kind)[had:]

    def of(self, kind: type[Any]) -> list[Any]:
        return [one for one in self.all if isinstance(one, kind)]


@dataclass
class Ingesting:
    """Ingest at work: its log, its upstream, and what it has written."""

    log: EventLog
    simulator: Simulator
    admin: Admin
    seen: Seen
    clock: Clock
    config: IngestConfig
    health: Health
    task: "asyncio.Task[None]" = field(repr=False)

    async def lease(self, *users: UserId, edge: str = "edge-1") -> None:
        now_ms = self.clock.now_ms()
        await lease(self.log, users, edge=edge, until_ms=now_ms + 300_000)

    async def withdraw(self, user: UserId, edge: str = "edge-1") -> None:
        await put(self.log, DEMAND, f"{user}|{edge}".encode(), None)

    async def refresh(self, kind: RefreshKind, *, age_ms: int = 0) -> None:
        asked = Refresh(kind=kind, requested_at=self.clock.now_ms() - age_ms)
        await put(self.log, DEMAND, f"refresh:{kind.value}".encode(), encode(asked))


@asynccontextmanager
async def ingesting(
    folder: Path,
    *,
    clock: Clock | None = None,
    world: dict[str, Any] | None = None,
    prepare: Callable[[EventLog, Simulator], Any] | None = None,
    **changes: Any,
) -> AsyncIterator[Ingesting]:
    """Run the whole service; ``changes`` are of its configuration.

    ``prepare`` puts things into the log before it starts.
    """
    clock = clock or SystemClock()
    async with AsyncExitStack() as stack:
        simulator = await stack.enter_async_context(simulated(**(world or {})))
        admin = await stack.enter_async_context(admin_of(simulator))
        log = await stack.enter_async_context(a_log(folder))
        if prepare is not None:
            await prepare(log, simulator)
        config = config_for(simulator.url, **changes)
        async with asyncio.TaskGroup() as group:
            health = Health()
            task = group.create_task(started(log, config, clock, health))
            yield Ingesting(
                log, simulator, admin, Seen(log), clock, config, health, task
            )
            task.cancel()


async def started(
    log: EventLog, config: IngestConfig, clock: Clock, health: Health | None = None
) -> None:
    """Run the service without chance."""
    await run(
        log,
        config,
        partitions=PARTITIONS,
        clock=clock,
        draw=no_jitter,
        health=health,
    )


async def put(log: EventLog, topic: str, key: bytes, value: bytes | None) -> None:
    part = partition_of(partition_key(key), PARTITIONS)
    await log.append(topic, [(part, Entry(key, value))])


async def lease(
    log: EventLog, users: Sequence[UserId], *, edge: str, until_ms: int
) -> None:
    for user in users:
        wanted = Lease(user_id=user, edge=edge, renewed_at=0, expires_at=until_ms)
        await put(log, DEMAND, f"{user}|{edge}".encode(), encode(wanted))


async def publish_token(log: EventLog, contract: str, **fields: Any) -> None:
    """Put a token into the public table, as the processor would."""
    contract_id = ContractId(contract)
    token = Token(
        contract_id=contract_id,
        fields=TokenFields(**fields),
        version=1,
        observed_at=0,
        origins=(),
    )
    await put(log, LATEST, token_key(contract_id), encode(token))


async def publish_balance(
    log: EventLog, user: UserId, contract: str, **subnets: str
) -> None:
    """Put a balance of long ago into the public table; ``subnets`` by suffix of ``contract``."""
    contract_id = ContractId(contract)
    parts = {
        ContractId(f"{contract}-{name}"): SubnetPart(balance=amount, observed_at=0)
        for name, amount in subnets.items()
    }
    balance = Balance(
        user_id=user,
        contract_id=contract_id,
        mainnet=None,
        subnets=parts,
        version=1,
        observed_at=0,
        origins=(),
    )
    await put(log, LATEST, balance_key(user, contract_id), encode(balance))


async def publish_subnets(log: EventLog, simulator: Simulator) -> None:
    """Put the subnet tokens of the simulator's world into the public table."""
    for token in simulator.stage.world.subnets:
        await publish_token(log, token.contract_id, type="SUBNET", base=token.base)
