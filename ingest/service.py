"""Ingest as a whole: which shards are ours, who is watched, and all parts together."""

import asyncio
import logging
import random
from collections.abc import Callable

from eventlog.partition import partition_of
from eventlog.port import EventLog, LogUnavailable, Membership, OffsetOutOfRange
from ingest.clients import Clients, clients
from ingest.config import IngestConfig
from ingest.core.registry import Registry
from ingest.core.schedule import Schedule
from ingest.core.silence import SourceKind
from ingest.demand import Demand
from ingest.forgetting import Forgetting
from ingest.readings import Readings
from ingest.refusals import Refusals
from ingest.rounds import PriceRounds, TokenRounds
from ingest.source_watch import SourceWatch
from ingest.sources.accounts import SOURCE as ACCOUNTS
from ingest.sources.accounts import Accounts
from ingest.sources.moments import MomentSource
from ingest.sources.prices import PriceSource
from ingest.sources.push import PushPool
from ingest.sources.subnets import SOURCE as SUBNETS
from ingest.sources.tokens import CHARISMA, METADATA
from ingest.standing import newest_moment_of
from ingest.table import Table
from ingest.tools import Tools
from ingest.waiting import run_until
from ingest.writer import Writer
from runtime.clock import Clock
from runtime.health import Health
from runtime.metrics import INGEST_SHARDS
from runtime.trouble import Trouble
from schemas.demand import RefreshKind
from schemas.ids import UserId
from schemas.topics import partition_key

_logger = logging.getLogger("ingest.service")
GROUP = "ingest"
# How long a clean stop waits for the log to take what is buffered.
_FLUSH_S = 2.0
_REJOIN_S = 1.0


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
    watch = _source_watch(config, clock)
    tools = Tools(clock, draw, MomentSource(clock), writer, watch)
    health = health or Health("ingest")
    health.add("log", lambda: writer.stalled)
    health.add("buffer", writer.full)
    health.add("clock", tools.moments.trouble)
    async with asyncio.TaskGroup() as group:
        writing = group.create_task(writer.run(), name="writer")
        try:
            async with clients(config, tools) as upstreams:
                ingest = _Ingest(log, config, partitions, tools, upstreams)
                ingest.show(health)
                await ingest.run()
        finally:
            await writer.close()
            await asyncio.wait({writing}, timeout=_FLUSH_S)


def _source_watch(config: IngestConfig, clock: Clock) -> SourceWatch:
    """Return what follows each source, by how often it is asked.

    A budget that stretches the polling of users does not stretch the interval of accounts:
    some user is read all the time.
    """
    watch = SourceWatch(clock, floor_s=config.silence_floor_s)
    for source in config.price_sources:
        watch.expect(source, SourceKind.PRICES, interval_s=config.price_interval_s)
    every_s = config.pace.interval_s
    watch.expect(ACCOUNTS, SourceKind.ACCOUNTS, interval_s=every_s)
    watch.expect(SUBNETS, SourceKind.SUBNETS, interval_s=every_s)
    for source, every_s in (
        (CHARISMA, config.token_interval_s),
        (METADATA, config.metadata_interval_s),
    ):
        watch.expect(source, SourceKind.TOKENS, interval_s=every_s)
    return watch


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
        self._joined = False
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
        self._refusals = Refusals(self._readings.doubt)
        self._push = PushPool(
            config.push, hint=self._readings.hint, clock=tools.clock, draw=tools.draw
        )

    def show(self, health: Health) -> None:
        """Let the parts say how they are."""
        health.add("group", self._group_state)
        health.add("registry", self._registry_state)
        health.warn("upstreams", self._upstreams.trouble)
        health.warn("limits", self._upstreams.limits)
        health.warn("silent", self._tools.watch.trouble)
        health.warn("old values", self._tools.watch.old_values)
        health.warn("balance API", self._readings.fallback)
        health.warn("clock", self._upstreams.clock_trouble)
        health.warn("prices", self._prices.disagreement)
        health.tell("shards", lambda: sorted(self._shards))

    async def run(self) -> None:
        """Run all parts until cancelled."""
        self._tools.moments.when_resumed(self._doubt)
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
            group.create_task(
                self._refusals.run(self._log, self._partitions, self._tools),
                name="refusals",
            )
            group.create_task(self._read(), name="readings")
            group.create_task(self._tools.watch.run(), name="source watch")
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

    def _doubt(self) -> None:
        """The clock was set back: what was read then the log may not have taken."""
        self._readings.doubt_all()
        self._token_rounds.doubt()

    def _group_state(self) -> str | None:
        return None if self._joined else "this instance is not yet in the group"

    def _registry_state(self) -> str | None:
        return (
            None if self._table_ready.is_set() else "the token registry is being read"
        )

    # ---- shards

    async def _join(self) -> None:
        """Be a member of the group, whatever happens to the log."""
        trouble = self._trouble("not a member", "a member again")
        while True:
            try:
                async with self._log.member(
                    GROUP, instance=self._config.instance
                ) as membership:
                    trouble.over()
                    await self._share(membership)
            except LogUnavailable as error:
                trouble.happened(why=str(error))
                self._joined = False
                self._own(frozenset())
                await self._tools.clock.sleep(_REJOIN_S)

    async def _share(self, membership: Membership) -> None:
        await self._move_to(membership.shards())
        self._joined = True
        while True:
            await self._move_to(await membership.changed())

    async def _move_to(self, shards: frozenset[int]) -> None:
        """Give up what is others' now, then take what is new to us."""
        self._own(self._shards & shards)
        if shards - self._shards:
            await self._catch_up(shards - self._shards)
        self._own(shards)

    async def _catch_up(self, shards: frozenset[int]) -> None:
        """Let our moments be later than those of whoever had these shards."""
        trouble = self._trouble("raw topics not readable", "raw topics readable again")
        while True:
            try:
                newest_ms = await newest_moment_of(self._log, shards)
            except (LogUnavailable, OffsetOutOfRange) as error:
                trouble.happened(why=str(error))
                await self._tools.clock.sleep(_REJOIN_S)
            else:
                trouble.over()
                self._tools.moments.not_before(newest_ms)
                return

    def _trouble(self, event: str, ended: str) -> Trouble:
        clock = self._tools.clock
        return Trouble(_logger, event, ended, monotonic_s=clock.monotonic_s)

    def _own(self, shards: frozenset[int]) -> None:
        if shards == self._shards:
            return
        _logger.info("shards changed", extra={"shards": sorted(shards)})
        self._shards = shards
        INGEST_SHARDS.set(len(shards))
        (self._zero if 0 in shards else self._no_zero).set()
        (self._no_zero if 0 in shards else self._zero).clear()
        self._shards_changed.set()
        self._demand_changed()

    async def _follow_table(self) -> None:
        """Follow the table; from the start again when other balances are ours.

        Also when the log was away for so long that withdrawals may have been missed.
        """
        while True:
            self._shards_changed.clear()
            self._table = self._new_table()
            following = self._follow_this(self._table)
            await run_until(self._shards_changed, following, name="follow latest")

    async def _follow_this(self, table: Table) -> None:
        clock, draw = self._tools.clock, self._tools.draw
        await table.run(self._log, self._partitions, clock=clock, draw=draw)
        _logger.warning("table read again")
        self._shards_changed.set()

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
