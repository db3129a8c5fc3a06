"""Following a topic from its oldest record on, through whatever happens to the log."""

import logging
import math
from collections.abc import Callable
from typing import Protocol

from eventlog.port import (
    Batches,
    EventLog,
    LogUnavailable,
    OffsetOutOfRange,
    Partition,
    Reader,
)
from ingest.core.backoff import delay_s
from runtime.clock import Clock
from runtime.metrics import LOG_ERRORS
from runtime.trouble import Trouble

_logger = logging.getLogger("ingest.follower")
_MAX_RECORDS = 2_000
_WAIT_S = 1.0
_RETRY_CAP_S = 5.0
# Half of the time for which tombstones stand at least.
LONGEST_AWAY_S = 43_200.0


class Taker(Protocol):
    """What is done with the records of a topic."""

    def take(self, batches: Batches) -> None:
        """Take the next records."""
        ...

    def caught_up(self) -> None:
        """All that was in the topic when following began has been taken."""
        ...


async def follow(
    log: EventLog,
    topic: str,
    partitions: int,
    *,
    taker: Taker,
    clock: Clock,
    draw: Callable[[], float],
) -> None:
    """Hand every record of a topic to ``taker``, for ever.

    Goes on where it was after ``LogUnavailable``. When retention passed it, it goes on
    with the oldest record there is.
    """
    following = _Following(log, _parts(topic, partitions), taker, clock)
    await _follow(following, topic, clock=clock, draw=draw)


async def follow_table(
    log: EventLog,
    topic: str,
    partitions: int,
    *,
    taker: Taker,
    clock: Clock,
    draw: Callable[[], float],
) -> None:
    """Follow a compacted topic until the log was away for ``LONGEST_AWAY_S``.

    Then tombstones may be missing, and who goes on must begin with an empty table.
    """
    parts = _parts(topic, partitions)
    following = _Following(log, parts, taker, clock, longest_away_s=LONGEST_AWAY_S)
    await _follow(following, topic, clock=clock, draw=draw)


async def follow_new(
    log: EventLog,
    topic: str,
    partitions: int,
    *,
    taker: Taker,
    clock: Clock,
    draw: Callable[[], float],
) -> None:
    """Hand every record that comes after this call to ``taker``; else as ``follow``."""
    parts = _parts(topic, partitions)
    following = _Following(log, parts, taker, clock, from_now=True)
    await _follow(following, topic, clock=clock, draw=draw)


def _parts(topic: str, partitions: int) -> list[Partition]:
    return [Partition(topic, number) for number in range(partitions)]


async def _follow(
    following: "_Following", topic: str, *, clock: Clock, draw: Callable[[], float]
) -> None:
    attempt = 0
    while not following.was_away_long():
        try:
            await following.run()
        except OffsetOutOfRange as error:
            following.skip_to(error.partition, error.oldest)
        except LogUnavailable as error:
            LOG_ERRORS.labels("unavailable").inc()
            following.trouble.happened(topic=topic, why=str(error))
            wait_s = delay_s(attempt, draw=draw(), cap_s=_RETRY_CAP_S)
            attempt = 0 if following.moved() else attempt + 1
            await clock.sleep(wait_s)


class _Following:
    """Where a topic has been read to, across readers."""

    def __init__(
        self,
        log: EventLog,
        parts: list[Partition],
        taker: Taker,
        clock: Clock,
        *,
        from_now: bool = False,
        longest_away_s: float = math.inf,
    ) -> None:
        self._log, self._parts, self._taker, self._clock = log, parts, taker, clock
        self._from_now, self._longest_away_s = from_now, longest_away_s
        self._heard = clock.monotonic_s(), clock.now_ms()
        self._positions: dict[Partition, int] = {}
        self._ends: dict[Partition, int] = {}
        self._reached = False
        self._moved = False
        self.trouble = Trouble(
            _logger,
            "topic not readable",
            "topic readable again",
            monotonic_s=clock.monotonic_s,
        )

    async def run(self) -> None:
        if not self._ends:
            oldest = await self._log.oldest(self._parts)
            self._ends = dict(await self._log.ends(self._parts))
            self._positions = dict(self._ends if self._from_now else oldest)
        async with self._log.reader(self._positions) as reader:
            while True:
                self._note(reader)
                batches = await reader.read(max_records=_MAX_RECORDS, wait_s=_WAIT_S)
                self.trouble.over()
                if self.was_away_long():  # the process or the machine stood still
                    return
                if batches:
                    self._moved = True
                    self._taker.take(batches)

    def skip_to(self, part: Partition, position: int) -> None:
        self._positions[part] = position

    def moved(self) -> bool:
        """Tell whether anything was read since the last call."""
        moved, self._moved = self._moved, False
        return moved

    def was_away_long(self) -> bool:
        """Tell whether the log did not answer for too long, by either clock."""
        heard_s, heard_ms = self._heard
        by_wall_s = (self._clock.now_ms() - heard_ms) / 1_000
        away_s = max(self._clock.monotonic_s() - heard_s, by_wall_s)
        return away_s > self._longest_away_s

    def _note(self, reader: Reader) -> None:
        self._heard = self._clock.monotonic_s(), self._clock.now_ms()
        for part in self._parts:
            self._positions[part] = reader.position(part)
        if not self._reached and self._all_read():
            self._reached = True
            self._taker.caught_up()

    def _all_read(self) -> bool:
        return all(self._positions[p] >= end for p, end in self._ends.items())
