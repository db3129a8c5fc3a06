"""Watches that retention does not pass a shard; says exactly what is gone when it has."""

import logging
from collections.abc import Callable, Mapping

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
from schemas.topics import RAW

logger = logging.getLogger(__name__)

Positions = Mapping[str, int]

# To ask how long a topic is kept; what is wanted of it is not compared.
_ASKED = [
    TopicSpec(topic, 1, Cleanup(compact=False, retention_ms=None)) for topic in RAW
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
        kept = {t.name: t.retention_ms for t in await self._log.describe(_ASKED)}
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


def _fields(gap: Gap) -> dict[str, object]:
    return {
        "topic": gap.topic,
        "shard": gap.shard,
        "first": gap.first,
        "last": gap.last,
        "count": gap.count,
    }
