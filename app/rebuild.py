"""Writes ``latest`` again from history, after it was deleted or has lost records."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import NamedTuple

from app.errors import OperatorError
from app.topics import read_identity, specs
from audit.as_of import table_at
from audit.core.table import Table
from audit.errors import HistoryGone
from eventlog.port import (
    Entry,
    EventLog,
    Fenced,
    Partition,
    Record,
    ShardWriter,
    TopicSpec,
    read_to,
)
from processor.core.published import disagreements, missing, version_of
from processor.core.terms import with_term
from processor.restore import Restored
from processor.terms import UNKNOWN_BOUNDS
from schemas.base import encode
from schemas.latest import IDENTITY_KEY, decode_latest, observed_key, terms_key
from schemas.log import LogIdentity, Term
from schemas.states import IDENTITY_COPY_KEY, LATEST_BOUNDS_KEY, TERMS_KEY
from schemas.topics import CHANGES, JOURNAL, LATEST, STATE

# A commit ends with the record that reaches one of them.
_AT_ONCE, _AT_ONCE_BYTES = 2_000, 4 * 2**20
# What the keys of values begin with; other records are of the shards, or of the log.
_VALUES = (b"price:", b"token:", b"balance:")
_NAMED = 3

# Told the number of changes read since the last time.
Progress = Callable[[int], None]


class RebuiltShard(NamedTuple):
    """What was done in one shard.

    ``keys`` are those of its table, ``written`` and ``withdrawn`` count what ``latest``
    lacked and what it had too much; ``began`` tells whether a new term began for that.
    """

    shard: int
    keys: int
    written: int
    withdrawn: int
    began: bool


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What ``rebuild_latest`` did; ``created`` tells whether the topic was missing."""

    identity: LogIdentity
    created: bool
    shards: tuple[RebuiltShard, ...]


@dataclass(frozen=True, slots=True)
class _Found:
    """What a shard must hold and what its partition of ``latest`` does hold."""

    table: Table
    latest: Mapping[bytes, Record]
    end: int

    def changes(self) -> Iterator[Entry]:
        """Yield what must be written so that ``latest`` holds the table."""
        for key in sorted(self.latest.keys() - self.table.keys()):
            if key.startswith(_VALUES):
                yield Entry(key, None)
        for key, row in sorted(self.table.items()):
            entry = Entry(key, row.value, (("commit", b"%d" % row.commit),))
            if not _is(self.latest.get(key), entry):
                yield entry


def _is(record: Record | None, entry: Entry) -> bool:
    """Tell whether a record is what would be written, with its headers."""
    if record is None:
        return False
    return (record.value, list(record.headers)) == (entry.value, list(entry.headers))


async def rebuild_latest(
    log: EventLog,
    *,
    check: Callable[[LogIdentity], None],
    new_term_id: Callable[[], str],
    progress: Progress = lambda _: None,
) -> Rebuilt:
    """Let ``latest`` hold what each shard has published, and nothing else.

    The table comes from the newest snapshot and the changes after it, and is compared with
    ``state``; the identity from ``latest`` or from its copy in ``state``. ``check`` raises
    for one that is not wanted. Each shard is written under its fence. What stands in
    ``latest`` already is not written again, so that a rebuild that was interrupted goes on
    where it was, and one of a whole table writes nothing. Else the shard begins a new
    term and forgets those before it: every client is sent everything.

    Raises ``OperatorError`` where history does not reach far enough, and for a processor
    that takes a shard meanwhile.
    """
    topics = specs(partitions=1, audit_days=0)
    partitions = await _partitions(log, topics)
    identity = await read_identity(log) or await _copied_identity(log)
    check(identity)
    wanted = [replace(t, partitions=partitions) for t in topics if t.name == LATEST]
    created = await log.create(wanted)
    shards = []
    for shard in range(partitions):
        try:
            async with log.own(shard) as writer:
                rebuilding = _Rebuilding(log, writer, identity, new_term_id)
                shards.append(await rebuilding.run(progress))
        except Fenced:
            raise OperatorError(
                f"a processor has taken shard {shard}; stop all processors, then run this "
                "again: it goes on where it was"
            ) from None
    return Rebuilt(identity, bool(created), tuple(shards))


async def _partitions(log: EventLog, topics: Sequence[TopicSpec]) -> int:
    states = {state.name: state for state in await log.describe(topics)}
    lost = [name for name in (STATE, CHANGES, JOURNAL) if name not in states]
    if lost:
        raise OperatorError(
            f"the log at {log.where} has no topic {' or '.join(lost)}: {LATEST} cannot be "
            "written again without; put the log back from a copy"
        )
    return states[STATE].partitions


async def _copied_identity(log: EventLog) -> LogIdentity:
    """Return the identity that the owner of shard 0 has copied to ``state``."""
    records = await _newest(log, Partition(STATE, 0))
    copy = records.get(IDENTITY_COPY_KEY)
    identity = decode_latest(IDENTITY_KEY, copy.value or b"") if copy else None
    if not isinstance(identity, LogIdentity):
        raise OperatorError(
            f"the log at {log.where} has lost its identity, and no processor of this "
            "version has copied it before; put the log back from a copy"
        )
    return identity


async def _newest(log: EventLog, at: Partition) -> dict[bytes, Record]:
    """Return the record that stands under each key of a partition."""
    records: dict[bytes, Record] = {}
    oldest, ends = await log.oldest([at]), await log.ends([at])
    async with log.reader(oldest) as reader:
        async for batches in read_to(reader, ends):
            records |= {r.key or b"": r for r in batches.get(at, ())}
    return {key: one for key, one in records.items() if one.value is not None}


class _Rebuilding:
    """The rebuild of one shard by its owner."""

    def __init__(
        self,
        log: EventLog,
        writer: ShardWriter,
        identity: LogIdentity,
        new_term_id: Callable[[], str],
    ) -> None:
        self._log, self._writer, self._identity = log, writer, identity
        self._new_term_id = new_term_id
        self._restored = Restored(writer.shard, progress=lambda _, __: None)

    async def run(self, progress: Progress) -> RebuiltShard:
        await self._restored.catch_up(self._log, self._writer, "rebuild")
        found = await self._find(progress)
        changes = list(found.changes())
        begins = bool(changes) or not self._is_whole(found.latest)
        if begins:
            await self._begin_term(found.end)
        for entries in _pieces(changes):
            await self._writer.commit({LATEST: entries})
        withdrawn = sum(entry.value is None for entry in changes)
        return RebuiltShard(
            self._writer.shard,
            keys=len(found.table),
            written=len(changes) - withdrawn,
            withdrawn=withdrawn,
            began=begins,
        )

    async def _find(self, progress: Progress) -> _Found:
        shard = self._writer.shard
        at, commit = Partition(LATEST, shard), self._restored.state.position.commit
        try:
            table = await table_at(self._log, shard, commit, progress=progress)
        except HistoryGone as error:
            raise OperatorError(
                f"{error}; {LATEST}[{shard}] cannot be written again. Put the log back "
                "from a copy"
            ) from error
        self._check(table)
        end = (await self._log.ends([at]))[at]
        return _Found(table, await _newest(self._log, at), end)

    def _check(self, table: Table) -> None:
        """Raise ``OperatorError`` if history does not have what ``state`` remembers."""
        versions = {key: version_of(row.value) for key, row in table.items()}
        lost = list(missing(self._restored.state, versions))
        if lost:
            named = ", ".join(key.decode() for key in lost[:_NAMED])
            raise OperatorError(
                f"{CHANGES}[{self._writer.shard}] lacks {len(lost)} values that were "
                f"published ({named}, …): records of it were lost, too. Put the log back "
                "from a copy"
            )
        values = {key: row.value for key, row in table.items()}
        other = next(disagreements(self._restored.state, values), None)
        if other is not None:
            raise OperatorError(
                f"{CHANGES}[{self._writer.shard}] and {STATE} contradict one another about "
                f"{other.key.decode(errors='replace')}: somebody has changed one of them. "
                "Put the log back from a copy"
            )

    def _is_whole(self, latest: Mapping[bytes, Record]) -> bool:
        shard = self._writer.shard
        return terms_key(shard) in latest and (shard > 0 or IDENTITY_KEY in latest)

    async def _begin_term(self, end: int) -> None:
        """Write what goes before the values: identity, terms, newest observations.

        Until a processor has compared the whole of ``latest`` with ``state`` nobody goes on
        with it, whatever becomes of us.
        """
        shard = self._writer.shard
        term = Term(self._new_term_id(), end, self._restored.barrier_ms)
        terms, identity = encode(with_term(None, shard, term)), encode(self._identity)
        latest = [
            Entry(terms_key(shard), terms),
            Entry(observed_key(shard), encode(self._restored.observed)),
        ]
        state = [
            Entry(TERMS_KEY, terms),
            Entry(LATEST_BOUNDS_KEY, encode(UNKNOWN_BOUNDS)),
        ]
        if shard == 0:
            latest.insert(0, Entry(IDENTITY_KEY, identity))
            state.append(Entry(IDENTITY_COPY_KEY, identity))
        await self._writer.commit({LATEST: latest, STATE: state})


def _pieces(entries: Sequence[Entry]) -> Iterator[list[Entry]]:
    """Yield entries in commits of a size that every log takes."""
    left = iter(entries)
    while piece := _piece(left):
        yield piece


def _piece(left: Iterator[Entry]) -> list[Entry]:
    piece: list[Entry] = []
    size_bytes = 0
    for entry in islice(left, _AT_ONCE):
        piece.append(entry)
        size_bytes += len(entry.key or b"") + len(entry.value or b"")
        if size_bytes >= _AT_ONCE_BYTES:
            break
    return piece
