"""Watches that retention does not pass a shard; says exactly what is gone when it has."""

import logging
import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

from eventlog.port import (
    Cleanup,
    EventLog,
    LogError,
    LogUnavailable,
    OffsetOutOfRange,
    Partition,
    TopicSpec,
)
from processor.config import ProcessorConfig
from processor.core.retention import Gap, gap_between, in_danger, margin_s
from runtime import metrics
from runtime.clock import Clock
from runtime.trouble import Trouble
from schemas.base import Malformed, decoder
from schemas.journal import AnyCommit
from schemas.snapshots import Header, header_in, part_in
from schemas.topics import CHANGES, JOURNAL, RAW, SNAPSHOTS

logger = logging.getLogger(__name__)

_LOOK_S = 1.0
_commit = decoder(AnyCommit)

Positions = Mapping[str, int]

# Without one of these a commit cannot be derived again.
_HISTORY = (*RAW, CHANGES, JOURNAL)
# How often it is logged that history loses its beginning.
_HISTORY_EVERY_S = 600.0

# To ask how long a topic is kept; what is wanted of it is not compared.
ASKED = [
    TopicSpec(topic, 1, Cleanup(compact=False, retention_ms=None)) for topic in _HISTORY
]


class ObservationsLost(LogError):
    """Retention deleted observations that a shard had not read."""

    def __init__(self, gap: Gap) -> None:
        super().__init__(
            f"{gap.topic}[{gap.shard}]: offsets {gap.first} to {gap.last} ({gap.count} "
            f"observations) were deleted before shard {gap.shard} read them; put the "
            "topic back from a copy, or go on without them by setting "
            f"STACKS_FEED_ACCEPT_LOSS={gap.name}"
        )
        self.gap = gap


def positions_within(
    positions: Positions, oldest: Mapping[Partition, int], *, accepted: frozenset[str]
) -> dict[str, int]:
    """Return where to read on from in each topic: ``positions``, but past accepted gaps.

    A topic that was never read begins at the oldest record there is. Raises
    ``ObservationsLost`` for a gap that nobody has accepted by its name.
    """
    start: dict[str, int] = {}
    for (topic, shard), first in oldest.items():
        gap = gap_between(
            topic, shard, position=positions.get(topic, first), oldest=first
        )
        if gap is not None and gap.name not in accepted:
            raise ObservationsLost(gap)
        if gap is not None:
            logger.error("observations lost, as accepted", extra=_fields(gap))
        start[topic] = max(positions.get(topic, first), first)
    return start


def loss_of(error: OffsetOutOfRange, positions: Positions) -> LogError:
    """Return what a reader's complaint means for a shard that has folded to ``positions``.

    What was read ahead is not folded: the gap begins where the shard stands.
    """
    topic, shard = error.partition
    gap = gap_between(topic, shard, position=positions[topic], oldest=error.oldest)
    return error if gap is None else ObservationsLost(gap)


class RetentionGuard:
    """Tells, now and then, how far retention is from where one shard stands."""

    def __init__(
        self, shard: int, log: EventLog, *, config: ProcessorConfig, clock: Clock
    ) -> None:
        self._shard, self._log = shard, log
        self._config, self._clock = config, clock
        self._inputs = [Partition(topic, shard) for topic in RAW]
        self._history = HistoryBeginning(shard, log, clock=clock)
        self._history_trouble = Trouble(
            logger,
            "history loses its beginning",
            "history has a beginning",
            monotonic_s=clock.monotonic_s,
            every_s=_HISTORY_EVERY_S,
        )

    async def run(self, positions: Callable[[], Positions]) -> None:
        """Look and tell, until cancelled; what the log cannot say now is asked again."""
        try:
            while True:
                try:
                    await self._look(positions())
                except (LogUnavailable, OffsetOutOfRange) as error:
                    # The shard itself meets it too, and acts.
                    logger.debug("retention not known", extra={"error": str(error)})
                await self._clock.sleep(self._config.retention_check_s)
        finally:
            self._forget()

    async def _look(self, positions: Positions) -> None:
        kept = {t.name: t.retention_ms for t in await self._log.describe(ASKED)}
        oldest = await self._log.oldest(self._inputs)
        ends = await self._log.ends(self._inputs)
        waiting = {
            at: positions[at.topic]
            for at in self._inputs
            if kept.get(at.topic) is not None and positions[at.topic] < ends[at]
        }
        ages_ms = await self._log.ages(waiting, now_ms=self._clock.now_ms())
        for at in self._inputs:
            records = positions[at.topic] - oldest[at]
            retention_ms = kept.get(at.topic)
            left_s = margin_s(ages_ms.get(at), retention_ms=retention_ms)
            self._tell(at.topic, records, left_s, ends[at] - positions[at.topic])
            if in_danger(left_s, retention_ms=retention_ms):
                self._warn(at.topic, left_s, ends[at] - positions[at.topic])
        self._tell_of_history(await self._history.margin(kept))

    def _tell_of_history(self, margin: "HistoryMargin") -> None:
        metrics.SNAPSHOT_MARGIN.labels(self._shard).set(margin.left_s)
        if not margin.danger:
            self._history_trouble.over()
            return
        self._history_trouble.happened(
            topic=margin.topic,
            shard=self._shard,
            snapshot=margin.snapshot,
            deleted_in_s=round(max(margin.left_s, 0)),
        )

    def _tell(self, topic: str, records: int, left_s: float, waiting: int) -> None:
        metrics.RETENTION_RECORDS.labels(topic, self._shard).set(records)
        metrics.RETENTION_SECONDS.labels(topic, self._shard).set(left_s)
        metrics.WAITING_RECORDS.labels(topic, self._shard).set(waiting)

    def _warn(self, topic: str, left_s: float, waiting: int) -> None:
        logger.warning(
            "retention comes near",
            extra={
                "topic": topic,
                "shard": self._shard,
                "waiting": waiting,
                "deleted_in_s": round(left_s),
            },
        )

    def _forget(self) -> None:
        """Leave no figures behind of a shard that is another's now."""
        for topic in {at.topic for at in self._inputs}:
            for metric in metrics.RETENTION:
                metric.remove(topic, self._shard)
        metrics.SNAPSHOT_MARGIN.remove(self._shard)


class HistoryMargin(NamedTuple):
    """How long the history of a shard still has a beginning that it can be derived from.

    ``topic`` is where retention comes first, ``None`` where it takes nothing. ``snapshot`` is
    the commit of the newest snapshot. ``left_s`` is below 0 when the beginning is gone.
    """

    shard: int
    left_s: float
    topic: str | None
    snapshot: int | None
    danger: bool


class HistoryBeginning:
    """Tells how far retention is from where the history of a shard can be derived from.

    That is its newest snapshot, or its first record as long as there is none. Once retention
    has passed it, no commit before the next snapshot can ever be verified.
    """

    def __init__(self, shard: int, log: EventLog, *, clock: Clock) -> None:
        self._shard, self._log, self._clock = shard, log, clock
        self._history = [Partition(topic, shard) for topic in _HISTORY]
        self._newest: tuple[int, Header | None] = (0, None)
        self._first: Positions = {}

    async def margin(self, kept_ms: Mapping[str, int | None]) -> HistoryMargin:
        """Look once; ``kept_ms`` is how long each topic is kept."""
        header = await self._snapshot()
        oldest = await self._log.oldest(self._history)
        places = header.places if header else await self._first_places(oldest)
        starts = {
            at: places[at.topic]
            for at in self._history
            if kept_ms.get(at.topic) is not None and at.topic in places
        }
        passed = [at for at, start in starts.items() if start < oldest[at]]
        held = {at: start for at, start in starts.items() if start >= oldest[at]}
        ages_ms = await self._log.ages(held, now_ms=self._clock.now_ms())
        left_s = {
            at: margin_s(ages_ms.get(at), retention_ms=kept_ms[at.topic]) for at in held
        } | dict.fromkeys(passed, -1.0)
        return self._margin(header, left_s, kept_ms)

    def _margin(
        self,
        header: Header | None,
        left_s: Mapping[Partition, float],
        kept_ms: Mapping[str, int | None],
    ) -> HistoryMargin:
        near = [
            at
            for at, left in left_s.items()
            if in_danger(left, retention_ms=kept_ms[at.topic])
        ]
        first = min(near or left_s, key=left_s.__getitem__, default=None)
        return HistoryMargin(
            shard=self._shard,
            left_s=math.inf if first is None else left_s[first],
            topic=None if first is None else first.topic,
            snapshot=header.commit if header else None,
            danger=bool(near),
        )

    async def _first_places(self, oldest: Mapping[Partition, int]) -> Positions:
        """Return where history begins that no snapshot stands in for; empty without any.

        A topic may begin late, because what stood before was deleted before anybody read it.
        """
        if not self._first:
            journal = Partition(JOURNAL, self._shard)
            self._first = await self._starts(journal) if not oldest[journal] else {}
        if not self._first:
            return {}
        whole = {at.topic: 0 for at in self._history if not oldest[at]}
        return {JOURNAL: 0, CHANGES: 0, **whole, **self._first}

    async def _starts(self, journal: Partition) -> Positions:
        """Return where the first commit began to read; empty if there is none yet."""
        async with self._log.reader({journal: 0}) as reader:
            batches = await reader.read(max_records=1, wait_s=_LOOK_S)
        for record in batches.get(journal, ()):
            said = _commit(record.value or b"")
            if not isinstance(said, Malformed):
                return {topic: read.start for topic, read in said.inputs.items()}
        return {}

    async def _snapshot(self) -> Header | None:
        """Return the newest snapshot; looked for again only when there is something new."""
        at = Partition(SNAPSHOTS, self._shard)
        (end,) = (await self._log.ends([at])).values()
        if end != self._newest[0]:
            self._newest = end, await self._find(at, end)
        return self._newest[1]

    async def _find(self, at: Partition, end: int) -> Header | None:
        (oldest,) = (await self._log.oldest([at])).values()
        async with self._log.reader({at: oldest}) as reader:
            offset = end - 1
            while offset >= oldest:
                reader.seek(at, offset)
                batches = await reader.read(max_records=1, wait_s=_LOOK_S)
                value = batches[at][0].value if at in batches else None
                header = header_in(value)
                if header is not None:
                    return header
                # Chunks without a header: whoever writes them has not come to the end.
                offset -= part_in(value) + 1
        return None


def _fields(gap: Gap) -> dict[str, object]:
    return {
        "topic": gap.topic,
        "shard": gap.shard,
        "first": gap.first,
        "last": gap.last,
        "count": gap.count,
    }
