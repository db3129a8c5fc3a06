"""Rounds of prices and of token metadata: what the owner of shard 0 polls."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from decimal import Decimal

from eventlog.port import Batches, EventLog, Record
from ingest.config import IngestConfig
from ingest.core.backoff import delay_s
from ingest.core.history import Observation, past_of
from ingest.core.registry import Registry
from ingest.core.silence import SourceKind
from ingest.core.spread import spread
from ingest.follower import follow
from ingest.sources import tokens
from ingest.sources.client import SourceDown, UpstreamClient
from ingest.sources.prices import PriceSource
from ingest.standing import FUTURE_MS
from ingest.tools import Tools
from ingest.waiting import run_until, sleep_or
from ingest.writer import Observed
from runtime.metrics import PRICE_DISAGREEMENTS, PRICE_SPREAD, PRICE_UNCHECKED
from runtime.trouble import Trouble
from schemas.base import Malformed, decoder
from schemas.ids import ContractId
from schemas.prices import PriceObserved
from schemas.tokens import TokenObserved
from schemas.topics import TOKENS_RAW

_logger = logging.getLogger("ingest.rounds")
_RETRY_BASE_S, _RETRY_CAP_S = 2.0, 60.0
# A contract that has no get-decimals will not get one; one that could not be asked may.
_DECLINED_S, _FAILED_S = 86_400.0, 600.0
# Questions for decimals take this share of Hiro's budget.
_DECIMALS_SHARE = 0.1
_IDLE_S = 60.0
_token = decoder(TokenObserved)


def entries(seen: Sequence[Observation], kind: str) -> list[Observed]:
    """Return observations as the writer takes them."""
    past = [past_of(one) for one in seen]
    return [Observed(one.topic, one.key, one.value, kind) for one in past]


def _backoff_s(failures: int, draw: Callable[[], float]) -> float:
    """Return how long to wait after so many failed rounds in a row, from 1 on."""
    return _RETRY_BASE_S + delay_s(
        failures - 1, draw=draw(), base_s=_RETRY_BASE_S, cap_s=_RETRY_CAP_S
    )


class PriceRounds:
    """Reads each price source on its own: one that fails costs the others nothing."""

    def __init__(
        self,
        sources: Sequence[PriceSource],
        *,
        config: IngestConfig,
        tools: Tools,
    ) -> None:
        self._sources, self._config = sources, config
        self._writer, self._clock = tools.writer, tools.clock
        self._draw, self._watch = tools.draw, tools.watch
        self._wanted = {source.name: asyncio.Event() for source in sources}
        # What each source said last, of those that answered last time.
        self._words: dict[str, Mapping[ContractId, Decimal]] = {}
        self._spread = spread({})

    def refresh(self) -> None:
        """Read all sources now; one that is being read is read once more after that."""
        for event in self._wanted.values():
            event.set()

    async def run(self) -> None:
        """Poll all sources, for ever."""
        try:
            async with asyncio.TaskGroup() as group:
                for source in self._sources:
                    source.need(self._config.price_interval_s)
                    group.create_task(self._poll(source), name=f"prices {source.name}")
        finally:
            for source in self._sources:
                source.need(None)
            self._watch.release(SourceKind.PRICES)

    async def _poll(self, source: PriceSource) -> None:
        failures = 0
        await self._clock.sleep(self._config.first_price_s)
        while True:
            began_s = self._clock.monotonic_s()
            self._wanted[source.name].clear()
            failures = 0 if await self._read(source) else failures + 1
            next_s = began_s + self._config.price_interval_s
            left_s = max(0.0, next_s - self._clock.monotonic_s())
            wait_s = (
                min(left_s, _backoff_s(failures, self._draw)) if failures else left_s
            )
            await sleep_or(self._clock, wait_s, self._wanted[source.name])

    async def _read(self, source: PriceSource) -> bool:
        """Read a source and write what it says; return whether it said anything."""
        try:
            seen = await source.read()
        except SourceDown as error:
            # Each failure is counted, and one that lasts is told: see SourceWatch.
            if error.asked:
                _logger.info("prices not read", extra={"why": str(error)})
            self._compare(source.name, ())
            return False
        self._compare(source.name, seen)
        self._watch.prices(source.name, seen)
        await self._writer.write(entries(seen, "price"))
        return True

    def disagreement(self) -> str | None:
        """Return which sources are far from the others on most tokens, if any."""
        suspects = self._spread.suspects()
        if not suspects:
            return None
        return f"far from the other sources on most tokens: {', '.join(suspects)}"

    def _compare(self, source: str, seen: Sequence[PriceObserved]) -> None:
        """Hold what a source said against the others; nothing published depends on it."""
        self._words.pop(source, None)
        if seen:
            self._words[source] = {one.contract_id: Decimal(one.usd) for one in seen}
        self._spread = found = spread(self._words)
        PRICE_SPREAD.set(float(found.widest))
        PRICE_UNCHECKED.set(found.unchecked)
        for name in self._wanted:
            PRICE_DISAGREEMENTS.labels(name).set(found.far.get(name, 0))


class TokenRounds:
    """Reads the registries and asks contracts for their decimals; writes what is new."""

    def __init__(
        self,
        *,
        config: IngestConfig,
        charisma: UpstreamClient,
        hiro: UpstreamClient,
        registry: Registry,
        tools: Tools,
    ) -> None:
        self._config, self._charisma, self._hiro = config, charisma, hiro
        self._registry = registry
        self._writer, self._moments = tools.writer, tools.moments
        self._clock, self._draw = tools.clock, tools.draw
        self._watch = tools.watch
        self._said = tokens.Said()
        self._beyond = Trouble(
            _logger,
            "more tokens than are taken",
            "tokens fit again",
            monotonic_s=tools.clock.monotonic_s,
        )
        self._not_before_s: dict[ContractId, float] = {}
        self._listed = asyncio.Event()

    def listed(self) -> None:
        """The registry has changed: there may be contracts nobody asked."""
        self._listed.set()

    def doubt(self) -> None:
        """The log may not hold what was said of tokens: write all of it once more."""
        self._said.doubt()

    async def run(self, log: EventLog, partitions: int) -> None:
        """Poll all sources of metadata, for ever."""
        try:
            await self._restore(log, partitions)
            self._charisma.need(tokens.CHARISMA, 1 / self._config.token_interval_s)
            await self._poll_all()
        finally:
            self._charisma.need(tokens.CHARISMA, 0.0)
            self._watch.release(SourceKind.TOKENS)

    async def _poll_all(self) -> None:
        network, config = self._config.network, self._config
        async with asyncio.TaskGroup() as group:
            group.create_task(
                self._poll(
                    lambda: tokens.read_charisma(self._charisma, network),
                    config.token_interval_s,
                ),
                name="tokens charisma",
            )
            group.create_task(
                self._poll(
                    lambda: tokens.read_hiro(self._hiro, network),
                    config.metadata_interval_s,
                ),
                name="tokens hiro",
            )
            group.create_task(self._ask_contracts(), name="tokens contract")

    async def _restore(self, log: EventLog, partitions: int) -> None:
        """Learn the last word of each source from the log: it need not be said again."""
        self._said = tokens.Said()
        taker = _Restoring(self._said)
        following = follow(
            log, TOKENS_RAW, partitions, taker=taker, clock=self._clock, draw=self._draw
        )
        await run_until(taker.done, following, name="restore tokens")

    async def _poll(
        self, read: Callable[[], Awaitable[list[TokenObserved]]], interval_s: float
    ) -> None:
        failures = 0
        while True:
            try:
                await self._write(await read())
                failures, wait_s = 0, interval_s
            except SourceDown as error:
                # Each failure is counted, and one that lasts is told: see SourceWatch.
                if error.asked:
                    _logger.info("tokens not read", extra={"why": str(error)})
                failures += 1
                wait_s = min(interval_s, _backoff_s(failures, self._draw))
            await self._clock.sleep(wait_s)

    async def _write(self, seen: list[TokenObserved]) -> None:
        """Write what is new, and what our own table adds to it.

        Of a reading in which nothing is new one row is written again, so that the log
        tells when the registry was last read.
        """
        network = self._config.network
        known = tokens.known(seen, network=network, observed_at=self._moments.next_ms())
        news = self._said.news([*seen, *known])
        if not any(one.source != tokens.KNOWN for one in news):
            confirmation = self._said.confirmation(seen)
            news += [confirmation] if confirmation else []
        if self._said.beyond:
            self._beyond.happened(tokens=self._said.beyond, limit=self._said.limit)
        else:
            self._beyond.over()
        # Noted before it is durable: two rounds at once say it once. What a stop loses
        # is not in the log, from which the next run learns what was said.
        for one in news:
            self._said.note(one)
        await self._writer.write(entries(news, "token"))

    async def _ask_contracts(self) -> None:
        while True:
            contract = self._unasked()
            if contract is None:
                await sleep_or(self._clock, _IDLE_S, self._listed)
                continue
            await self._ask(contract)
            await self._clock.sleep(1 / (self._hiro.rate_s * _DECIMALS_SHARE))

    def _unasked(self) -> ContractId | None:
        """Return a contract to ask: first one whose decimals nobody gave."""
        now_s = self._clock.monotonic_s()
        open_ones = [
            contract
            for contract in self._registry.contracts()
            if not self._said.asked(contract)
            and self._not_before_s.get(contract, now_s) <= now_s
        ]
        unknown = self._registry.unknown_decimals()
        return min(open_ones, key=lambda c: (c not in unknown, c), default=None)

    async def _ask(self, contract: ContractId) -> None:
        try:
            seen = await tokens.read_decimals(self._hiro, contract)
        except SourceDown as error:
            wait_s = _DECLINED_S if error.declined else _FAILED_S
            self._not_before_s[contract] = self._clock.monotonic_s() + wait_s
            return
        await self._writer.write(entries([seen], "token"))
        self._said.note(seen)


def _counts(one: TokenObserved, record: Record) -> bool:
    """Tell whether the fold took it: what it refused has to be said again."""
    return one.observed_at <= record.time_ms + FUTURE_MS


class _Restoring:
    """Takes what ``tokens.raw`` holds already."""

    def __init__(self, said: tokens.Said) -> None:
        self._said = said
        self.done = asyncio.Event()

    def take(self, batches: Batches) -> None:
        for record in (r for records in batches.values() for r in records):
            one: TokenObserved | Malformed = _token(record.value or b"")
            if isinstance(one, TokenObserved) and _counts(one, record):
                self._said.note(one)

    def caught_up(self) -> None:
        self.done.set()
