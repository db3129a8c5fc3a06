"""How near retention is to what the shards have not read: for `doctor`, from outside."""

from collections.abc import Sequence
from typing import NamedTuple

from eventlog.port import (
    Cleanup,
    EventLog,
    OffsetOutOfRange,
    Partition,
    Record,
    TopicSpec,
    read_to,
)
from processor.core.retention import Gap, gap_between, in_danger, margin_s
from processor.retention import ASKED, HistoryBeginning, HistoryMargin
from runtime.clock import Clock
from schemas.base import Malformed, decoder
from schemas.journal import Position
from schemas.states import POSITION_KEY
from schemas.topics import RAW, STATE

_position = decoder(Position)
# A position is written with every commit, so it stands near the end of its partition.
_TAIL_OFFSETS = 20_000


class Standing(NamedTuple):
    """One input of one shard: what waits, how long that still stands, what is gone."""

    topic: str
    shard: int
    waiting: int
    left_s: float
    danger: bool
    gap: Gap | None


async def standings(
    log: EventLog, *, partitions: int, now_ms: int
) -> tuple[Standing, ...]:
    """Return how each shard stands in each raw topic; those never read are left out."""
    keep = Cleanup(compact=False, retention_ms=None)  # not compared
    asked = [TopicSpec(topic, partitions, keep) for topic in RAW]
    kept_ms = {state.name: state.retention_ms for state in await log.describe(asked)}
    found: list[Standing] = []
    for shard in range(partitions):
        for topic, position in sorted((await _positions(log, shard)).items()):
            at = Partition(topic, shard)
            retention_ms = kept_ms.get(topic)
            found.append(await _standing(log, at, position, retention_ms, now_ms))
    return tuple(found)


async def history_margins(
    log: EventLog, *, partitions: int, clock: Clock
) -> tuple[HistoryMargin, ...]:
    """Return how long the history of each shard still has a beginning."""
    kept_ms = {state.name: state.retention_ms for state in await log.describe(ASKED)}
    shards = (HistoryBeginning(n, log, clock=clock) for n in range(partitions))
    return tuple([await each.margin(kept_ms) for each in shards])


async def _standing(
    log: EventLog, at: Partition, position: int, retention_ms: int | None, now_ms: int
) -> Standing:
    oldest, end = (await log.oldest([at]))[at], (await log.ends([at]))[at]
    age_ms = await _age_ms(log, at, max(position, oldest), now_ms)
    left_s = margin_s(age_ms, retention_ms=retention_ms)
    return Standing(
        topic=at.topic,
        shard=at.number,
        waiting=max(end - position, 0),
        left_s=left_s,
        danger=in_danger(left_s, retention_ms=retention_ms),
        gap=gap_between(at.topic, at.number, position=position, oldest=oldest),
    )


async def _age_ms(
    log: EventLog, at: Partition, position: int, now_ms: int
) -> int | None:
    """Return how old the first record from ``position`` on is; ``None`` without one."""
    try:
        return (await log.ages({at: position}, now_ms=now_ms)).get(at)
    except OffsetOutOfRange:  # deleted since we asked: the next look tells
        return None


async def _positions(log: EventLog, shard: int) -> dict[str, int]:
    """Return where a shard stood at its last commit: empty if there was none."""
    at = Partition(STATE, shard)
    oldest, end = (await log.oldest([at]))[at], (await log.ends([at]))[at]
    tail = _TAIL_OFFSETS
    while True:
        start = max(oldest, end - tail)
        for record in reversed(await _read(log, at, start, end)):
            if record.key == POSITION_KEY:
                position = _position(record.value or b"")
                return {} if isinstance(position, Malformed) else position.positions
        if start == oldest:
            return {}
        tail *= 8


async def _read(log: EventLog, at: Partition, start: int, end: int) -> Sequence[Record]:
    """Return what stands from ``start`` to ``end``, or more."""
    async with log.reader({at: start}) as reader:
        return [r async for read in read_to(reader, {at: end}) for r in read[at]]
