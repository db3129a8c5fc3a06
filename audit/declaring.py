"""A declared point: what a shard holds now, taken from the log where it cannot be derived.

Where retention has dropped observations before any snapshot was written, no commit can be
derived again: what the shard held before it is not known. But what it holds now is in the
log twice over: in ``state``, from which a processor goes on, and in ``latest``. A snapshot
of that, which says that it was declared and not derived, is a beginning for everything that
comes after. What lies before it stays without proof for ever.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import NamedTuple
from uuid import uuid4

from audit.commits import oldest_needed, open_commits
from audit.core.commits import commit_of, origin_of, read_commit
from audit.core.declared import HeldChanges, Newest, check_declared, check_since
from audit.core.difference import Check, Difference, DifferenceFound, shown
from audit.core.ends import is_folded
from audit.core.table import Row, Standing, Table, put
from audit.core.verify import Verifier
from audit.errors import HistoryGone
from audit.journal import open_lookup
from audit.snapshots import write_snapshot
from eventlog.port import EventLog, Partition, Reader, Record
from processor.core.journal import link_of
from processor.core.shard_state import ShardState
from schemas.journal import Position
from schemas.snapshots import Header
from schemas.states import POSITION_KEY
from schemas.topics import CHANGES, JOURNAL, LATEST, REJECTS, STATE

_BATCH = 5_000
_WAIT_S = 1.0
# How often is looked for what a commit wrote to `latest`.
_LOOKS = 10


class Declared(NamedTuple):
    """A declared point: the shard's state there, where history goes on, and the snapshot."""

    standing: Standing
    places: Mapping[str, int]
    header: Header


async def declare(
    log: EventLog, shard: int, *, new_verifier: Callable[[Standing], Verifier]
) -> Declared | None:
    """Write a snapshot of what a shard holds now, marked as declared.

    Returns ``None`` for a shard that has not committed anything.

    The commits between the state that was read and the table that was read are derived and
    verified, as all that follow will be. Raises ``DifferenceFound`` where ``state`` is of
    another history than the journal, and where ``latest``, ``state`` and what is left of
    ``changes`` contradict one another, and ``UnreadableState`` for what a newer program wrote.
    """
    state = await _state_of(log, shard)
    if not state.position.commit:
        return None
    rows = await _latest_of(log, shard, commit=state.position.commit)
    check_declared(state, rows, await _changes_of(log, state))
    generation, places = await _places_of(log, state)
    before = {
        key: row for key, row in rows.items() if row.commit <= state.position.commit
    }
    standing = Standing(state, _table_of(before))
    began = state.position.commit
    last = max((row.commit for row in rows.values()), default=0)
    verifier = new_verifier(standing)
    async with open_commits(log, shard, start=places) as commits:
        while verifier.commit < last:
            read = await commits.next(wait_s=_LOOKS * _WAIT_S)
            if read is None:
                raise _unknown_commit(shard, last, verifier.commit)
            verifier.check(read)
            generation, places = read.said.generation, commits.places
    check_since(rows, standing.table, shard=shard, after=began)
    standing.observations, standing.declared = 0, verifier.commit
    header = await write_snapshot(
        log, standing, places, generation=generation, snapshot_id=uuid4().hex
    )
    return Declared(standing, places, header)


async def lost_until_ms(log: EventLog, at: Partition) -> int:
    """Return when the log took the oldest record that a partition still holds; 0: none."""
    async with open_lookup(log, at) as lookup:
        record = await lookup.at_or_after(lookup.oldest)
    return record.time_ms if record else 0


# ---- what the shard holds


@asynccontextmanager
async def _reading(log: EventLog, at: Partition) -> AsyncIterator[Reader]:
    (start,) = (await log.oldest([at])).values()
    async with log.reader({at: start}) as reader:
        yield reader


async def _read_on(
    log: EventLog, reader: Reader, at: Partition, take: Callable[[Record], None]
) -> None:
    """Hand over each record of a compacted partition, to where it ends.

    Compaction may drop a record before it is read, because a newer one stands further on:
    so the end is where nothing has come since the last look.
    """
    while reader.position(at) < (await log.ends([at]))[at]:
        batches = await reader.read(max_records=_BATCH, wait_s=_WAIT_S)
        for record in batches.get(at, ()):
            take(record)


async def _state_of(log: EventLog, shard: int) -> ShardState:
    at, state = Partition(STATE, shard), ShardState(shard)
    # Each commit ends with its position: what comes after it is of one not yet whole.
    commit: list[Record] = []

    def take(record: Record) -> None:
        commit.append(record)
        if record.key == POSITION_KEY:
            for each in commit:
                state.load(each.key or b"", each.value)
            commit.clear()

    async with _reading(log, at) as reader:
        await _read_on(log, reader, at, take)
    # Where the shard would begin to read a topic says nothing before it has.
    read = {topic: at for topic, at in state.position.positions.items() if at}
    state.position = state.position.model_copy(update={"positions": read})
    return state


async def _changes_of(log: EventLog, state: ShardState) -> HeldChanges:
    """Return what is left of the changes of commits up to that of the state."""
    at, held = Partition(CHANGES, state.shard), HeldChanges(last=state.position.commit)
    end = (await log.ends([at]))[at]
    async with _reading(log, at) as reader:
        while reader.position(at) < end and not held.is_read:
            batches = await reader.read(max_records=_BATCH, wait_s=_WAIT_S)
            held.read(batches.get(at, ()))
    return held


async def _latest_of(log: EventLog, shard: int, *, commit: int) -> dict[bytes, Newest]:
    """Return the newest record of each key, with all that commits up to ``commit`` wrote."""
    at = Partition(LATEST, shard)
    rows: dict[bytes, Newest] = {}

    def take(record: Record) -> None:
        key = record.key or b""
        if is_folded(key):
            rows[key] = Newest(record.value, commit_of(record) or 0)

    change = await _last_change(log, shard, commit=commit)
    async with _reading(log, at) as reader:
        await _read_on(log, reader, at, take)
        if change is None:
            return rows
        for _ in range(_LOOKS):
            if _has(rows, change):
                return rows
            # Parts of a transaction need not become visible at once.
            batches = await reader.read(max_records=1, wait_s=_WAIT_S)
            for record in batches.get(at, ()):
                take(record)
            await _read_on(log, reader, at, take)
    raise DifferenceFound(
        Difference(
            Check.LATEST,
            shard,
            commit_of(change) or 0,
            LATEST,
            expected=shown(change.value),
            found="nothing, or an older value",
            key=shown(change.key),
        )
    )


def _unknown_commit(shard: int, commit: int, last: int) -> DifferenceFound:
    return DifferenceFound(
        Difference(
            Check.LATEST,
            shard,
            last,
            LATEST,
            expected=f"values of commits up to {last}, with which the journal ends",
            found=f"one of commit {commit}",
        )
    )


def _has(rows: Mapping[bytes, Newest], change: Record) -> bool:
    row = rows.get(change.key or b"")
    if row is None:
        # Compaction drops a tombstone after its time.
        return change.value is None
    return row.commit >= (commit_of(change) or 0)


def _table_of(rows: Mapping[bytes, Newest]) -> Table:
    table: dict[bytes, Row] = {}
    for key, row in rows.items():
        put(table, key, row.value, commit=row.commit)
    return table


# ---- where history goes on


async def _last_change(log: EventLog, shard: int, *, commit: int) -> Record | None:
    async with open_lookup(log, Partition(CHANGES, shard)) as lookup:
        return await lookup.last(lambda record: (commit_of(record) or 0) <= commit)


async def _places_of(log: EventLog, state: ShardState) -> tuple[int, dict[str, int]]:
    """Return by which fold the last commit was made, and the next offsets after it."""
    shard, position = state.shard, state.position
    async with open_lookup(log, Partition(JOURNAL, shard)) as lookup:
        last = await lookup.last(
            lambda record: read_commit(record, shard=shard).commit <= position.commit
        )
    if last is None:
        (oldest,) = (await log.oldest([Partition(JOURNAL, shard)])).values()
        raise HistoryGone(JOURNAL, shard, oldest=oldest)
    _check_chain(last, position, shard=shard)
    change = await _last_change(log, shard, commit=position.commit)
    async with open_lookup(log, Partition(REJECTS, shard)) as lookup:
        reject = await lookup.last(lambda record: _is_before(record, position))
    oldest_of = await oldest_needed(log, shard)
    return read_commit(last, shard=shard).generation, {
        **oldest_of,
        **position.positions,
        JOURNAL: last.offset + 1,
        CHANGES: change.offset + 1 if change else oldest_of[CHANGES],
        REJECTS: reject.offset + 1 if reject else 0,
    }


def _check_chain(last: Record, position: Position, *, shard: int) -> None:
    """Check that the journal leads to where the state stands."""
    said = read_commit(last, shard=shard)
    found = said.commit, link_of(last.value or b"")
    if found != (position.commit, position.chain):
        raise DifferenceFound(
            Difference(
                Check.STATE,
                shard,
                said.commit,
                STATE,
                expected=f"the position of commit {found[0]} with the hash {found[1]}",
                found=f"that of commit {position.commit} with {position.chain}",
            )
        )


def _is_before(reject: Record, position: Position) -> bool:
    origin = origin_of(reject)
    return origin is None or origin.offset < position.positions.get(origin.topic, 0)
