"""Follows ``latest``: into the table, and from there to whoever is to hear of it."""

import asyncio
import logging
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple, TypeVar

from edge.clients import Clients
from edge.config import EdgeConfig
from edge.core.freshness import NEVER, OldPrices, old_because, oldest_ms, stale_because
from edge.core.hub import Hub
from edge.core.patience import delay_s
from edge.core.places import Place
from edge.core.timeline import OtherTimeline
from edge.waiting import Arrivals
from eventlog.port import (
    Batches,
    EventLog,
    LogError,
    LogUnavailable,
    Partition,
    Reader,
    Record,
    read_to,
)
from runtime.clock import Clock
from runtime.metrics import LOG_ERRORS, UNREADABLE_LATEST
from runtime.trouble import Trouble
from schemas.log import TERM_HEADER
from schemas.topics import LATEST

_logger = logging.getLogger("edge.follower")
# Bounds what one delivery is for a client that gets everything.
_MAX_RECORDS = 1_000
_WAIT_S = 1.0
_T = TypeVar("_T")


class LogReplaced(LogError):
    """The log is not the one that was read: it lost records which stand in our table.

    A new start reads what is there now.
    """

    def __init__(self, where: str, partition: int) -> None:
        super().__init__(
            f"the log at {where} has lost records of {LATEST}[{partition}] that this edge "
            "had read (an older copy was put in place, or a broker lost the end of it); "
            "started again, the edge reads the log that is there now"
        )


class _Placed(NamedTuple):
    key: bytes
    value: bytes | None
    place: Place


class Follower:
    """Reads the public table from its oldest record on, through whatever happens."""

    def __init__(
        self,
        hub: Hub,
        clients: Clients,
        *,
        config: EdgeConfig,
        partitions: int,
        clock: Clock,
        draw: Callable[[], float],
    ) -> None:
        self._hub, self._clients, self._config = hub, clients, config
        self._parts = [Partition(LATEST, number) for number in range(partitions)]
        self._clock, self._draw = clock, draw
        self._positions: dict[Partition, int] = {}
        self._ends: dict[Partition, int] = {}
        self._heard = clock.monotonic_s(), clock.now_ms()
        # Set when all that stood in the table at the start has been read.
        self.caught_up = asyncio.Event()
        # Rung whenever the table has changed.
        self.arrivals = Arrivals(clock)
        self._trouble = Trouble(
            _logger,
            "table not readable",
            "table readable again",
            monotonic_s=clock.monotonic_s,
        )
        self._staleness = Trouble(
            _logger,
            "values may be old",
            "values are current again",
            monotonic_s=clock.monotonic_s,
        )

    def behind(self) -> str | None:
        """Return what is still to be read before anybody may be served."""
        if self.caught_up.is_set():
            return None
        left = sum(end - self._positions.get(p, 0) for p, end in self._ends.items())
        return f"the table is not read yet, {left} offsets are left"

    def stale(self) -> str | None:
        """Return why newer values may exist than those we have."""
        config, now_ms = self._config, self._clock.now_ms()
        behind = stale_because(
            self._hub.watermarks_ms,
            shards=len(self._parts),
            silent_s=self.silent_s(),
            now_ms=now_ms,
            limit_s=config.stale_s,
        )
        return behind or old_because(
            self._hub.newest, now_ms=now_ms, limit_s=config.prices_old_s
        )

    def observed_ages_s(self) -> dict[str, float | None] | None:
        """Return how long ago something of each kind was observed; ``None``: never."""
        now_ms, newest = self._clock.now_ms(), self._hub.newest
        if newest == NEVER:
            return None
        return {
            kind: None if at_ms is None else (now_ms - at_ms) / 1_000
            for kind, at_ms in newest._asdict().items()
        }

    def old_prices(self) -> OldPrices:
        """Return which prices no source quotes any more, though others are observed."""
        return self._hub.old_prices(limit_s=self._config.prices_old_s)

    def old_price_count(self) -> int | None:
        """Return how many there are; ``None`` if none."""
        return self.old_prices().total or None

    def look_at_freshness(self) -> None:
        """Log when what we serve becomes stale, and when it is not any more."""
        why = self.stale()
        if why is None:
            self._staleness.over()
        else:
            self._staleness.happened(why=why)

    def oldest_watermark_ms(self) -> int:
        """Return the watermark of the shard that is furthest behind; 0 without one."""
        return oldest_ms(self._hub.watermarks_ms, shards=len(self._parts))

    def silent_s(self) -> float:
        """Return how long the log has not answered.

        By the clock that says more: one stands still while a machine sleeps.
        """
        heard_s, heard_ms = self._heard
        by_wall_s = (self._clock.now_ms() - heard_ms) / 1_000
        return max(self._clock.monotonic_s() - heard_s, by_wall_s)

    async def run(self, log: EventLog) -> None:
        """Follow, for ever; a log that is away is waited out.

        Whoever was away too long misses tombstones: then the whole table is read again.

        Raises ``OffsetOutOfRange`` when the log is no longer the one we read, and
        ``LogReplaced`` when that shows only in what is written to it later: the table is
        then wrong, and a new start reads the right one.
        """
        attempt = 0
        while True:
            before = dict(self._positions)
            try:
                await self._follow(log)
            except OtherTimeline as error:
                raise LogReplaced(log.where, error.partition) from error
            except LogUnavailable as error:
                LOG_ERRORS.labels(type(error).__name__).inc()
                self._trouble.happened(why=str(error))
            attempt = attempt + 1 if before == self._positions else 0
            await self._clock.sleep(delay_s(attempt, draw=self._draw()))

    async def _follow(self, log: EventLog) -> None:
        if not self._ends:
            self._positions = dict(await log.oldest(self._parts))
            self._ends = dict(await log.ends(self._parts))
        elif self._was_away_long():
            await self._read_again(log)
        self._hub.check_terms(checked=self.caught_up.is_set())
        async with log.reader(self._positions) as reader:
            while True:
                self._note(reader)
                batches = await reader.read(max_records=_MAX_RECORDS, wait_s=_WAIT_S)
                self._trouble.over()
                if self._was_away_long():  # the process or the machine stood still
                    return
                if batches:
                    await self._take(_placed(batches))

    def _was_away_long(self) -> bool:
        return self.silent_s() > self._config.longest_away_s

    async def _read_again(self, log: EventLog) -> None:
        """Take what is new, and withdraw what is not there any more.

        What was withdrawn goes first: until the rest was taken no cursor says that its
        holder has all there is, so whoever leaves in between is told again.
        """
        _logger.warning("table read again", extra={"away_s": round(self.silent_s())})
        ends = await log.ends(self._parts)
        async with log.reader(await log.oldest(self._parts)) as reader:
            found = _Found(self._positions)
            async for batches in read_to(reader, ends):
                found.add(_placed(batches))
            for terms in found.terms.values():
                self._hub.agree(terms)
            self._hub.check_terms(checked=False)
            await self._withdraw(found.keys, reader, at_ms=found.newest_ms)
            for some in _parts_of(found.newer.values()):
                await self._take(some)
            self._note(reader)

    async def _withdraw(
        self, present: Container[bytes], reader: Reader, *, at_ms: int
    ) -> None:
        """Withdraw what is not ``present`` where ``reader`` stands.

        Its tombstone stood before that, who knows where: as late as can be, so that
        nobody who might not know of it is taken to know.
        """
        for some in _parts_of(self._hub.vanished(present).items()):
            placed = []
            for key, number in some:
                offset = reader.position(Partition(LATEST, number)) - 1
                placed.append((key, Place(number, offset, at_ms)))
            writes = self._hub.withdraw(placed, now_ms=self._clock.now_ms())
            await self._clients.deliver(writes)

    async def _take(self, placed: Sequence[_Placed]) -> None:
        unreadable = self._hub.unreadable
        writes = self._hub.apply(
            ((each.key, each.value) for each in placed),
            places=(each.place for each in placed),
            now_ms=self._clock.now_ms(),
        )
        UNREADABLE_LATEST.inc(self._hub.unreadable - unreadable)
        self._config.on_step("table-updated")
        self.arrivals.ring()
        await self._clients.deliver(writes)

    def _note(self, reader: Reader) -> None:
        self._heard = self._clock.monotonic_s(), self._clock.now_ms()
        for part in self._parts:
            self._positions[part] = reader.position(part)
        read = all(self._positions[part] >= end for part, end in self._ends.items())
        if read and not self.caught_up.is_set():
            self.caught_up.set()
            self._hub.check_terms(checked=True)
            _logger.info("ready", extra={"keys": self._hub.keys})


class _Found:
    """What stands in the table: all keys, and what is new since ``positions``."""

    def __init__(self, positions: Mapping[Partition, int]) -> None:
        self._positions = positions
        self.keys: set[bytes] = set()
        self.newer: dict[bytes, _Placed] = {}
        # The newest terms of each shard.
        self.terms: dict[bytes, bytes] = {}
        self.newest_ms = 0

    def add(self, placed: Iterable[_Placed]) -> None:
        for each in placed:
            self.keys.add(each.key)
            if each.key.startswith(b"terms:") and each.value is not None:
                self.terms[each.key] = each.value
            self.newest_ms = max(self.newest_ms, each.place.time_ms)
            if (
                each.place.offset
                >= self._positions[Partition(LATEST, each.place.partition)]
            ):
                self.newer.pop(each.key, None)  # records stay in the order of the log
                self.newer[each.key] = each


def _placed(batches: Batches) -> list[_Placed]:
    """Return records, each with its place; one without a key is counted and left out."""
    records = [(part, record) for part in batches for record in batches[part]]
    UNREADABLE_LATEST.inc(sum(record.key is None for _, record in records))
    return [
        _Placed(each.key, each.value, _place_of(part, each))
        for part, each in records
        if each.key is not None
    ]


def _place_of(part: Partition, record: Record) -> Place:
    term = None
    # Values have a header too: looking at the first is enough, and quick.
    if record.headers and record.headers[0][0] == TERM_HEADER:
        term = record.headers[0][1].decode(errors="replace")
    return Place(part.number, record.offset, record.time_ms, term)


def _parts_of(all_of_them: Iterable[_T]) -> Iterator[list[_T]]:
    left = iter(all_of_them)
    while some := list(islice(left, _MAX_RECORDS)):
        yield some
