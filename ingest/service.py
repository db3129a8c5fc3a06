"""Ingest as a whole: which shards are ours, who is watched, and all parts together."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from eventlog.partition import partition_of
from eventlog.port import EventLog, LogUnavailable, Membership
from ingest.config import IngestConfig, Upstream
from ingest.core.registry import Registry
from ingest.core.schedule import Schedule
from ingest.demand import Demand
from ingest.forgetting import Forgetting
from ingest.readings import Readings
from ingest.rounds import PriceRounds, TokenRounds
from ingest.sources.accounts import Accounts
from ingest.sources.client import UpstreamClient, http_client
from ingest.sources.moments import MomentSource
from ingest.sources.prices import PriceSource
from ingest.sources.push import PushPool
from ingest.table import Table
from ingest.tools import Tools
from ingest.waiting import run_until
from ingest.writer import Writer
from runtime.clock import Clock
from runtime.health import Health
from schemas.demand import RefreshKind
from schemas.ids import UserId
from schemas.topics import partition_key

_logger = logging.getLogger("ingest.service")
GROUP = "ingest"
# How long a clean stop waits for the log to take what is buffered.
_FLUSH_S = 2.0
_REJOIN_S = 1.0


@dataclass(frozen=True, slots=True)
class Clients:
    """One client an upstream."""

    hiro: UpstreamClient
    kraxel: UpstreamClient
    stxtools: UpstreamClient
    invest: UpstreamClient
    tokens: UpstreamClient

    def trouble(self) -> str | None:
        """Return which sources are left alone now, if any."""
        every = (self.hiro, self.kraxel, self.stxtools, self.invest, self.tokens)
        down = [source for client in every for source in client.left_alone()]
        return f"left alone after failures: {', '.join(down)}" if down else None

    def prices(self, source: str) -> UpstreamClient:
        """Return the client of a price source."""
        return {
            "kraxel": self.kraxel,
            "stxtools": self.stxtools,
            "internal": self.invest,
        }[source]


async def run(
    log: EventLog,
    config: IngestConfig,
    *,
    partitions: int,
    clock: Clock,
    draw: Callable[[], float] = random.random,
    health: Health | None = None,
) -> None:
    """Read upstreams into the raw topics until cancelled; a clean stop flushes.

    Survives upstreams and the log being away. Raises for what an operator must see to:
    ``UnknownTopic``, ``LogFull``, ``LogCorrupt``.
    """
    writer = Writer(log, config, partitions=partitions, clock=clock, draw=draw)
    tools = Tools(clock, draw, MomentSource(clock), writer)
    if health is not None:
        health.add("log", lambda: writer.stalled)
    async with asyncio.TaskGroup() as group:
        writing = group.create_task(writer.run(), name="writer")
        try:
            async with clients(config, tools) as upstreams:
                await _Ingest(log, config, partitions, tools, upstreams).run(health)
        finally:
            await writer.close()
            await asyncio.wait({writing}, timeout=_FLUSH_S)


@asynccontextmanager
async def clients(config: IngestConfig, tools: Tools) -> AsyncIterator[Clients]:
    """Open the clients of all upstreams; the key goes to Hiro alone."""
    async with AsyncExitStack() as stack:

        async def opened(
            name: str, upstream: Upstream, key: str | None = None
        ) -> UpstreamClient:
            return UpstreamClient(
                name,
                upstream,
                http=await stack.enter_async_context(http_client(key)),
                clock=tools.clock,
                moments=tools.moments,
                draw=tools.draw,
            )

        yield Clients(
            hiro=await opened("hiro", config.hiro, config.api_key),
            kraxel=await opened("kraxel", config.kraxel),
            stxtools=await opened("stxtools", config.stxtools),
            invest=await opened("invest", config.invest),
            tokens=await opened("tokens", config.tokens),
        )


class _Ingest:
    """The parts, wired together."""

    def __init__(
        self,
        log: EventLog,
        config: IngestConfig,
        partitions: int,
        tools: Tools,
        upstreams: Clients,
    ) -> None:
        self._log, self._config, self._partitions = log, config, partitions
        self._tools, self._upstreams = tools, upstreams
        self._shards: frozenset[int] = frozenset()
        self._shards_changed = asyncio.Event()
        self._zero, self._no_zero = asyncio.Event(), asyncio.Event()
        self._registry, self._table_ready = Registry(), asyncio.Event()
        self._readings = self._make_readings(upstreams)
        self._table = self._new_table()
        self._prices = self._make_prices(upstreams)
        self._token_rounds = TokenRounds(
            config=config,
            charisma=upstreams.tokens,
            hiro=upstreams.hiro,
            registry=self._registry,
            tools=tools,
        )
        self._demand = self._make_demand()
        self._push = PushPool(
            config.push, hint=self._readings.hint, clock=tools.clock, draw=tools.draw
        )

    async def run(self, health: Health | None) -> None:
        """Run all parts until cancelled."""
        if health is not None:
            health.add("registry", self._registry_state)
            health.add("upstreams", self._upstreams.trouble)
        forgetting = Forgetting(
            self._demand,
            table=lambda: self._table,
            config=self._config,
            tools=self._tools,
        )
        async with asyncio.TaskGroup() as group:
            group.create_task(self._join(), name="membership")
            group.create_task(self._follow_table(), name="table")
            group.create_task(
                self._demand.run(self._log, self._partitions, draw=self._tools.draw),
                name="demand",
            )
            group.create_task(self._read(), name="readings")
            group.create_task(self._poll_market(), name="market")
            group.create_task(forgetting.run(), name="forgetting")
            if self._config.push.url is not None:
                group.create_task(self._push.run(), name="push")

    # ---- the parts

    def _new_table(self) -> Table:
        return Table(
            self._shards,
            registry=self._registry,
            ready=self._table_ready,
            changed=self._table_changed,
            holds=self._readings.hold,
        )

    def _make_readings(self, upstreams: Clients) -> Readings:
        config = self._config
        accounts = Accounts(
            upstreams.hiro,
            network=config.network,
            chosen=self._registry.chosen_asset,
            generation=config.generation,
            rewrite_after_s=config.rewrite_after_s,
        )
        return Readings(
            Schedule(config.pace),
            accounts=accounts,
            client=upstreams.hiro,
            registry=self._registry,
            tools=self._tools,
        )

    def _make_prices(self, upstreams: Clients) -> PriceRounds:
        sources = [
            PriceSource(
                name,
                upstreams.prices(name),
                network=self._config.network,
                internal_limit=self._config.internal_limit,
            )
            for name in self._config.price_sources
        ]
        return PriceRounds(sources, config=self._config, tools=self._tools)

    def _make_demand(self) -> Demand:
        return Demand(
            limit=self._config.watch_max,
            clock=self._tools.clock,
            changed=self._demand_changed,
            refreshes={
                RefreshKind.PRICES: self._prices.refresh,
                RefreshKind.BALANCES: self._readings.refresh,
            },
            on_step=self._config.on_step,
        )

    # ---- what they tell one another

    def _ours(self, user: UserId) -> bool:
        key = partition_key(user.encode())
        return partition_of(key, self._partitions) in self._shards

    def _demand_changed(self) -> None:
        users = [user for user in self._demand.watched() if self._ours(user)]
        self._readings.watch(users)
        self._push.watch(users)
        for user in users:
            for subnet in self._table.held.get(user, ()):
                self._readings.hold(user, subnet)

    def _table_changed(self) -> None:
        self._readings.offer_subnets()
        self._token_rounds.listed()

    def _registry_state(self) -> str | None:
        return (
            None if self._table_ready.is_set() else "the token registry is being read"
        )

    # ---- shards

    async def _join(self) -> None:
        """Be a member of the group, whatever happens to the log."""
        while True:
            try:
                async with self._log.member(
                    GROUP, instance=self._config.instance
                ) as membership:
                    await self._share(membership)
            except LogUnavailable as error:
                _logger.warning("not a member", extra={"why": str(error)})
                self._own(frozenset())
                await self._tools.clock.sleep(_REJOIN_S)

    async def _share(self, membership: Membership) -> None:
        self._own(membership.shards())
        while True:
            self._own(await membership.changed())

    def _own(self, shards: frozenset[int]) -> None:
        if shards == self._shards:
            return
        _logger.info("shards changed", extra={"shards": sorted(shards)})
        self._shards = shards
        (self._zero if 0 in shards else self._no_zero).set()
        (self._no_zero if 0 in shards else self._zero).clear()
        self._shards_changed.set()
        self._demand_changed()

    async def _follow_table(self) -> None:
        """Follow the table; from the start again when other balances are ours."""
        while True:
            self._shards_changed.clear()
            self._table = self._new_table()
            following = self._table.run(
                self._log,
                self._partitions,
                clock=self._tools.clock,
                draw=self._tools.draw,
            )
            await run_until(self._shards_changed, following, name="follow latest")

    async def _read(self) -> None:
        # Without the registry nobody knows which subnets to ask.
        await self._table_ready.wait()
        await self._demand.ready.wait()
        await self._readings.run(readers=self._config.readers)

    async def _poll_market(self) -> None:
        """Poll prices and tokens while shard 0 is ours."""
        while True:
            await self._zero.wait()
            await run_until(self._no_zero, self._market(), name="rounds")

    async def _market(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._prices.run(), name="prices")
            group.create_task(
                self._token_rounds.run(self._log, self._partitions), name="tokens"
            )
