"""Why a key has its value, or what became of an observation: derived again from the log."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from audit.beginning import Beginning, beginning_of
from audit.core.alone import Observation, Step, observed
from audit.core.commits import commit_of, origin_of
from audit.core.difference import Check, Difference, DifferenceFound, shown
from audit.core.explained import Change, Explaining, Explanation, Stretch
from audit.core.subjects import Key
from audit.errors import HistoryGone, IndexWrong, WrongMoment
from audit.journal import Lookup, open_lookup
from audit.picking import CommitAt, Finder, open_finder, picked
from audit.refolding import Asked, Owner, Refolding, open_refolding
from eventlog.port import Partition, Record
from schemas.base import Malformed, encode
from schemas.journal import Commit, Origin
from schemas.latest import decode_latest
from schemas.rejects import MAX_KEY_BYTES, Reject
from schemas.topics import CHANGES, REJECTS


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

    What history no longer tells is left out, and named. A value of before history begins is
    told as it stands in ``changes``, if it still does. Raises ``DifferenceFound`` when the observations, folded again, do not give what the
    log holds, ``IndexWrong`` when the index points to something else, ``HistoryGone``.
    """
    beginning = await beginning_of(asked.log, asked.shard)
    begins = beginning.commit
    if commit < begins:
        return await _told_only(asked, key, commit, beginning)
    async with open_finder(asked.log, asked.index, asked.shard) as finder:
        told = await _changes(asked, finder, key, commit, begins=begins)
        value = told[-1].change if told else None
        previous = told[0].change if len(told) > 1 else None
        explaining = Explaining(key, asked.shard, value, previous, begins=begins)
        owner = Owner(key.topic, key.owner)
        derived = [each for each in told if each.change.commit > begins]
        is_whole = previous is not None and len(derived) == len(told)
        anchor = previous.commit if previous and is_whole else begins + 1
        async with open_refolding(asked, finder, owner, before=anchor) as refolding:
            commits = await _refold(refolding, explaining, key, derived, last=commit)
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
        begins,
        beginning.declared,
    )


async def _told_only(
    asked: Asked, key: Key, commit: int, beginning: Beginning
) -> Explanation:
    """Tell what stood under a key before history begins, by what is left of ``changes``.

    Raises ``HistoryGone`` where no change of it up to then is left: whether there was one
    is not known.
    """
    begins = beginning.commit
    async with open_finder(asked.log, asked.index, asked.shard) as finder:
        told = await _changes(asked, finder, key, commit, begins=begins)
    if not told:
        topic = next(topic for topic, oldest in beginning.oldest.items() if oldest)
        raise HistoryGone(
            topic,
            asked.shard,
            oldest=beginning.oldest[topic],
            begins=begins,
            declared=beginning.declared > 0,
        )
    value = told[-1].change
    return Explanation(
        key,
        asked.shard,
        commit,
        value,
        previous=told[0].change if len(told) > 1 else None,
        led=Stretch(),
        since=Stretch(),
        stands_on=await _stands_on(asked, key, value),
        commits={},
        begins=begins,
        declared=beginning.declared,
    )


class _Told(NamedTuple):
    """A change, and what the commit that wrote it says."""

    change: Change
    said: Commit | None


async def _refold(
    refolding: Refolding,
    explaining: Explaining,
    key: Key,
    told: Sequence[_Told],
    *,
    last: int,
) -> dict[int, Commit]:
    """Explain by steps around each change, by many at once elsewhere.

    Returns the commits of the steps.
    """
    end = await refolding.end_of(last)
    read = [each.said.inputs.get(key.topic) for each in told if each.said]
    if len(told) > 1 and read[0] is not None:
        await refolding.carry(min(read[0].start, end))
    commits: dict[int, Commit] = {}
    around = [(part.start, part.end) for part in read if part is not None]
    for first, after in (*around, (end, end)):
        explaining.pass_over(await refolding.leap(min(first, end)))
        async for step, found in refolding.steps(min(after, end), key=key):
            explaining.add(step)
            commits[step.commit] = found.said
    return commits


async def _changes(
    asked: Asked, finder: Finder, key: Key, commit: int, *, begins: int
) -> Sequence[_Told]:
    """Return the last change of a key up to a commit, and before it the one before."""
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
    return [await _told(finder, record, key, asked, begins) for record in last_two]


async def _change(lookup: Lookup, offset: int, key: Key) -> Record:
    record = await lookup.at_or_after(offset)
    if record is None or record.offset != offset or record.key != key.key:
        raise IndexWrong(CHANGES, 0, offset=offset)
    return record


async def _told(
    finder: Finder, record: Record, key: Key, asked: Asked, begins: int
) -> _Told:
    number = commit_of(record) or 0
    found = await finder.numbered(number)
    if found is None and number <= begins:
        # Retention has dropped the record of the commit, and not yet the change.
        return _Told(Change(record.offset, record.value, number, None, None), None)
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
    said = found.said
    change = Change(record.offset, record.value, number, said.log_time, found.offset)
    return _Told(change, said)


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
        for record in await picked(asked.log, at, offsets, key=key.owner)
    }
    named = (origin.offset for origin in origins)
    return tuple(records[offset] for offset in named if offset in records)


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
        owner = Owner(topic, record.key or b"")
        before = found.said.commit
        async with open_refolding(asked, finder, owner, before=before) as refolding:
            await refolding.carry(record.offset)
            step = refolding.step(record, found)
    reject = await _reject_of(asked, step, step.reject) if step.reject else None
    return Fate(seen, step, found, reject)


async def _reject_of(asked: Asked, step: Step, refused: Reject) -> int | None:
    """Return where the reject of a step stands; raise ``DifferenceFound`` if it differs."""
    at = Partition(REJECTS, asked.shard)
    name = (step.observation.record.key or b"")[:MAX_KEY_BYTES]
    offsets = asked.index.offsets(REJECTS, asked.shard, name)
    for record in await picked(asked.log, at, offsets, key=name):
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
