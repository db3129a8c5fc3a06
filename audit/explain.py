"""Why a key has its value, or what became of an observation: derived again from the log."""

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field

from audit.core.alone import Alone, Observation, Step, observed
from audit.core.commits import commit_of, origin_of
from audit.core.difference import Check, Difference, DifferenceFound, shown
from audit.core.explained import Change, Explaining, Explanation
from audit.core.snapshots import Damaged
from audit.core.subjects import Key
from audit.errors import HistoryGone, IndexWrong, WrongMoment
from audit.index import Index
from audit.journal import Lookup, open_lookup
from audit.owned import owner_records
from audit.picking import CommitAt, Finder, open_finder, picked
from audit.snapshots import newest_first
from eventlog.port import EventLog, Partition, Record
from processor.core.generations import GENERATIONS, Generations
from schemas.base import Malformed, encode
from schemas.journal import Commit, Origin
from schemas.latest import decode_latest
from schemas.rejects import MAX_KEY_BYTES, Reject
from schemas.topics import CHANGES, REJECTS


@dataclass(frozen=True, slots=True)
class Asked:
    """One shard of a log, and the index of it, which must be up to date."""

    log: EventLog
    index: Index
    shard: int
    generations: Generations = field(default_factory=lambda: GENERATIONS)


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of one observation.

    Without ``step`` and ``commit`` it is not folded. ``reject`` is the offset of its
    record in ``rejects``, where there is one that is still held.
    """

    observation: Observation
    step: Step | None
    commit: CommitAt | None
    reject: int | None


# ---- a key


async def explain(asked: Asked, key: Key, *, commit: int) -> Explanation:
    """Explain what stood under a key after a commit of its shard.

    Raises ``DifferenceFound`` when the observations, folded again, do not give what the
    log holds, ``IndexWrong`` when the index points to something else, ``HistoryGone``.
    """
    async with open_finder(asked.log, asked.index, asked.shard) as finder:
        value, previous = await _changes(asked, finder, key, commit)
        explaining = Explaining(key, asked.shard, value, previous)
        commits: dict[int, Commit] = {}
        anchor = previous.commit if previous else 1
        folded = _folded(asked, finder, key, before=anchor, last=commit)
        async for step, found in folded:
            explaining.add(step)
            commits[step.commit] = found.said
        explaining.end()
    shown_commits = {
        step.commit: commits[step.commit]
        for stretch in (explaining.led, explaining.since)
        for step in stretch.steps
    }
    return Explanation(
        key,
        asked.shard,
        commit,
        value,
        previous,
        explaining.led,
        explaining.since,
        await _stands_on(asked, key, value),
        shown_commits,
    )


async def _changes(
    asked: Asked, finder: Finder, key: Key, commit: int
) -> tuple[Change | None, Change | None]:
    """Return the last change of a key up to a commit, and the one before."""
    offsets = asked.index.offsets(CHANGES, asked.shard, key.key)
    async with open_lookup(asked.log, Partition(CHANGES, asked.shard)) as lookup:
        held = [offset for offset in offsets if offset >= lookup.oldest]
        low, high = 0, len(held)
        while low < high:
            middle = (low + high) // 2
            record = await _change(lookup, held[middle], key)
            if (commit_of(record) or 0) <= commit:
                low = middle + 1
            else:
                high = middle
        last_two = [await _change(lookup, n, key) for n in held[max(low - 2, 0) : low]]
    changes = [await _with_commit(finder, record, key, asked) for record in last_two]
    value = changes[-1] if changes else None
    return value, changes[0] if len(changes) > 1 else None


async def _change(lookup: Lookup, offset: int, key: Key) -> Record:
    record = await lookup.at_or_after(offset)
    if record is None or record.offset != offset or record.key != key.key:
        raise IndexWrong(CHANGES, 0, offset=offset)
    return record


async def _with_commit(
    finder: Finder, record: Record, key: Key, asked: Asked
) -> Change:
    number = commit_of(record) or 0
    found = await finder.numbered(number)
    if found is None:
        raise DifferenceFound(
            Difference(
                Check.CHANGES,
                asked.shard,
                number,
                CHANGES,
                expected="a change of a commit in the journal",
                found=shown(record.value),
                offset=record.offset,
                key=shown(key.key),
            )
        )
    return Change(
        record.offset, record.value, number, found.said.log_time, found.offset
    )


async def _stands_on(
    asked: Asked, key: Key, value: Change | None
) -> tuple[Observation, ...]:
    """Return the observations that a value names, in its order."""
    said = decode_latest(key.key, value.value) if value and value.value else None
    origins: Sequence[Origin] = getattr(said, "origins", ())
    if isinstance(said, Malformed) or not origins:
        return ()
    at = Partition(key.topic, asked.shard)
    offsets = sorted({origin.offset for origin in origins})
    records = {
        record.offset: observed(key.topic, asked.shard, record)
        async for record in picked(asked.log, at, offsets, key=key.owner)
    }
    named = (origin.offset for origin in origins)
    return tuple(records[offset] for offset in named if offset in records)


async def _folded(
    asked: Asked, finder: Finder, key: Key, *, before: int, last: int
) -> AsyncIterator[tuple[Step, CommitAt]]:
    """Fold the observations of a key's owner from a commit before ``before`` on."""
    alone, start = await _begin(asked, key.topic, key.owner, before=before)
    offsets = asked.index.offsets(key.topic, asked.shard, key.owner, start=start)
    at = Partition(key.topic, asked.shard)
    async for record in picked(asked.log, at, offsets, key=key.owner):
        found = await finder.of_raw(key.topic, record.offset)
        if found is not None and found.said.commit > last:
            return
        if found is not None:
            yield alone.fold(key.topic, record, found.said, key=key), found


async def _begin(
    asked: Asked, topic: str, owner: bytes, *, before: int
) -> tuple[Alone, int]:
    """Return an owner's state at a snapshot before a commit, and where to read on."""
    async with aclosing(newest_first(asked.log, asked.shard)) as all_found:
        async for found in all_found:
            if found.header.commit >= before:
                continue
            with suppress(Damaged):
                records = await owner_records(asked.log, found, topic, owner)
                start = found.header.places[topic]
                return Alone(asked.shard, asked.generations, records), start
    (oldest,) = (await asked.log.oldest([Partition(topic, asked.shard)])).values()
    if oldest > 0:
        raise HistoryGone(topic, asked.shard, oldest=oldest)
    return Alone(asked.shard, asked.generations), 0


# ---- an observation


async def fate_of(asked: Asked, origin: Origin) -> Fate:
    """Explain what became of an observation; raise ``WrongMoment`` if there is none."""
    topic = origin.topic
    at = Partition(topic, asked.shard)
    async with open_lookup(asked.log, at) as lookup:
        record = await lookup.at_or_after(max(origin.offset, lookup.oldest))
    if record is None or record.offset != origin.offset:
        raise WrongMoment(f"{topic}[{asked.shard}] holds no record {origin.offset}")
    seen = observed(topic, asked.shard, record)
    async with open_finder(asked.log, asked.index, asked.shard) as finder:
        found = await finder.of_raw(topic, origin.offset)
        if found is None:
            return Fate(seen, None, None, None)
        step = await _step(asked, finder, topic, record, found)
    reject = await _reject_of(asked, step, step.reject) if step.reject else None
    return Fate(seen, step, found, reject)


async def _step(
    asked: Asked, finder: Finder, topic: str, record: Record, last: CommitAt
) -> Step:
    """Fold what there is of an owner up to a record, and that record."""
    owner = record.key or b""
    alone, start = await _begin(asked, topic, owner, before=last.said.commit)
    offsets = asked.index.offsets(topic, asked.shard, owner, start=start)
    at = Partition(topic, asked.shard)
    before = [offset for offset in offsets if offset < record.offset]
    async for each in picked(asked.log, at, before, key=owner):
        found = await finder.of_raw(topic, each.offset)
        if found is not None:
            alone.fold(topic, each, found.said, key=None)
    return alone.fold(topic, record, last.said, key=None)


async def _reject_of(asked: Asked, step: Step, refused: Reject) -> int | None:
    """Return where the reject of a step stands; raise ``DifferenceFound`` if it differs."""
    at = Partition(REJECTS, asked.shard)
    name = (step.observation.record.key or b"")[:MAX_KEY_BYTES]
    offsets = asked.index.offsets(REJECTS, asked.shard, name)
    async for record in picked(asked.log, at, offsets, key=name):
        if origin_of(record) != refused.origin:
            continue
        expected = encode(refused)
        if record.value != expected:
            raise DifferenceFound(
                Difference(
                    Check.REJECTS,
                    asked.shard,
                    step.commit,
                    REJECTS,
                    expected=shown(expected),
                    found=shown(record.value),
                    offset=record.offset,
                    key=shown(record.key),
                )
            )
        return record.offset
    return None
