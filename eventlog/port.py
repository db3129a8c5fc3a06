"""What the services may ask of a log, whichever log it is.

Words, as everywhere in this project:

- *offset*: the place of one record in its partition. Offsets grow; they may have holes
  (a broker puts transaction markers into the same numbering, compaction removes
  records), so they are compared, never counted.
- *position*: the offset of the **next** record to read. A record at offset 7 read and
  done means position 8.
- *end*: the position a read-committed reader has when it has read all that is
  committed. Nothing of an open or aborted transaction is ever seen.
- *append time*: milliseconds since 1970 given by the log when it took the record. It
  follows the log's clock, back and forth. *Log time* is its running maximum in the
  partition and never steps back.
- *fence*: of all that ever acquired a shard only the last can commit to it. The older
  ones get ``Fenced``.

Topics are called by their logical names; a prefix is the adapter's affair. Keys, values
and headers are bytes: the log knows no schema.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from operator import itemgetter
from typing import NamedTuple, Protocol

Headers = Sequence[tuple[str, bytes]]

# Its partitions are the shards; it stays empty and exists for membership alone.
SHARDS_TOPIC = "shards"


class Partition(NamedTuple):
    """One partition of one topic; equal to the tuple ``(topic, number)``."""

    topic: str
    number: int


class Record(NamedTuple):
    """One record as it stands in a partition; ``value`` ``None`` is a tombstone.

    A named tuple because a reader makes hundreds of thousands a second.
    """

    offset: int
    time_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


class Entry(NamedTuple):
    """What a writer hands over; the log adds offset and append time."""

    key: bytes | None
    value: bytes | None
    headers: Headers = ()


Batches = Mapping[Partition, Sequence[Record]]

# The largest record that any log takes, by ``record_bytes``.
MAX_RECORD_BYTES = 1_048_576
_RECORD_OVERHEAD_BYTES, _HEADER_OVERHEAD_BYTES = 512, 10


def record_bytes(entry: Entry) -> int:
    """Return the size of a record for the limit ``MAX_RECORD_BYTES``.

    The overhead covers what a broker stores around a record that is a batch of its own:
    a batch header of 61 bytes, lengths and deltas, and what compression adds to a value
    that it cannot make smaller. Every adapter counts in this way, so a record that one
    log takes is taken by all.
    """
    key, value, headers = entry
    size = _RECORD_OVERHEAD_BYTES + len(key or b"") + len(value or b"")
    for name, held in headers:
        size += _HEADER_OVERHEAD_BYTES + len(name.encode()) + len(held)
    return size


_key_of, _value_of, _headers_of = map(itemgetter, (2, 3, 4))


def records_bytes(records: Sequence[Record]) -> int:
    """Return how many bytes keys, values and headers of the records have together."""
    size = sum(map(len, filter(None, map(_value_of, records))))
    size += sum(map(len, filter(None, map(_key_of, records))))
    for headers in filter(None, map(_headers_of, records)):
        size += sum(len(name) + len(held) for name, held in headers)
    return size


class Cleanup(NamedTuple):
    """How a topic forgets.

    ``compact`` keeps at least the newest record of each key, a tombstone at least
    ``tombstones_ms``. ``retention_ms`` drops records older than that; ``None`` keeps
    them for ever. Both together: compacted, and dropped when old. How old a record is, is
    the log's to say: see ``EventLog.ages``.
    """

    compact: bool
    retention_ms: int | None
    tombstones_ms: int = 86_400_000


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """A topic as it should be."""

    name: str
    partitions: int
    cleanup: Cleanup


@dataclass(frozen=True, slots=True)
class Drift:
    """One way in which a topic differs from its spec: ``setting`` has ``found``."""

    topic: str
    setting: str
    wanted: str
    found: str


@dataclass(frozen=True, slots=True)
class TopicState:
    """A topic as it is: its partitions and how it differs from the spec asked for.

    ``retention_ms`` is how long its records surely stand; ``None`` is for ever.
    """

    name: str
    partitions: int
    drift: tuple[Drift, ...] = field(default=())
    retention_ms: int | None = None


class LogError(Exception):
    """Something about the log; each subclass is named for the reaction it wants."""


class LogUnavailable(LogError):
    """The log cannot be reached or is too slow; nothing is wrong with the request.

    Try again later. After an append or a commit the outcome is unknown.
    """

    def __init__(self, where: str, *, why: str) -> None:
        super().__init__(f"the log at {where} is not available: {why}")
        self.where, self.why = where, why


class LogRefused(LogError):
    """The log is there and refuses what was asked for; the same again will be refused too.

    An operator must change something: a permission, the broker, or ``setting``, the
    field of the adapter's config that the refusal is about, where it is about one.
    """

    def __init__(self, where: str, *, why: str, setting: str | None = None) -> None:
        super().__init__(f"the log at {where} refuses: {why}")
        self.where, self.why, self.setting = where, why, setting


class LogCorrupt(LogError):
    """The log is there but cannot be read; an operator must look."""

    def __init__(self, where: str, *, why: str) -> None:
        super().__init__(f"the log at {where} cannot be used: {why}")
        self.where, self.why = where, why


class LogFull(LogError):
    """No room is left where the log lives; nothing of the request was written.

    ``why`` is what the system says where it does not say so plainly.
    """

    def __init__(self, where: str, *, why: str | None = None) -> None:
        said = f", it seems: {why}" if why else ""
        super().__init__(f"no space is left for the log at {where}{said}")
        self.where, self.why = where, why


class UnknownTopic(LogError):
    """The log has no such topic (or partition of it)."""

    def __init__(self, topic: str) -> None:
        super().__init__(
            f"topic {topic} does not exist; `stacks-feed topics apply` creates topics"
        )
        self.topic = topic


class OffsetOutOfRange(LogError):
    """The log does not hold the offset asked for: retention passed it, or it is new."""

    def __init__(
        self, partition: Partition, *, offset: int, oldest: int, end: int
    ) -> None:
        super().__init__(
            f"{partition.topic}[{partition.number}]: offset {offset} is not there, "
            f"the log holds {oldest} to {end}"
        )
        self.partition, self.offset = partition, offset
        self.oldest, self.end = oldest, end


class RecordTooLarge(LogError):
    """A record is above ``MAX_RECORD_BYTES``; nothing of the request was written.

    A topic of a broker may have a lower limit of its own.
    """

    def __init__(self, topic: str, *, size_bytes: int, limit_bytes: int) -> None:
        super().__init__(
            f"{topic}: a record of {size_bytes} bytes is above {limit_bytes}"
        )
        self.topic = topic
        self.size_bytes, self.limit_bytes = size_bytes, limit_bytes


class Fenced(LogError):
    """Another owner acquired this shard later; this one can never commit again."""

    def __init__(self, shard: int) -> None:
        super().__init__(f"shard {shard} was taken over by another owner")
        self.shard = shard


class LogRewound(LogError):
    """A partition ends before records that were committed to it: the log lost them.

    Nothing of the request was written. Acquire the shard anew and see what is left.
    """

    def __init__(self, partition: Partition, *, end: int, committed: int) -> None:
        super().__init__(
            f"{partition.topic}[{partition.number}] ends at {end}, records up to "
            f"{committed} were committed: the log has lost acknowledged records"
        )
        self.partition, self.end, self.committed = partition, end, committed


class Reader(Protocol):
    """Reads some partitions, read-committed, each in offset order without a gap."""

    async def read(self, *, max_records: int, wait_s: float) -> Batches:
        """Return what is next, at most ``max_records`` in all.

        An answer has a bound in bytes as well, of some ten megabytes.
        Waits up to ``wait_s`` for the first record and returns as soon as there is one;
        empty after that. Only partitions with records are in the answer. Raises
        ``OffsetOutOfRange`` when retention passed the position (never skips), and
        ``LogUnavailable``; after that the positions are those of the last answer.
        """
        ...

    def position(self, partition: Partition) -> int:
        """Return the next offset to read: past all records returned, and past holes.

        Once everything before an ``ends()`` answer was returned the position reaches
        that end, also when the partition ends in holes.
        """
        ...

    def seek(self, partition: Partition, position: int) -> None:
        """Read on from ``position``; records fetched ahead are dropped."""
        ...


class ShardWriter(Protocol):
    """The right to write one shard: partition ``shard`` of any topic."""

    @property
    def shard(self) -> int:
        """The partition number this writer writes."""
        ...

    @property
    def ends(self) -> Mapping[str, int]:
        """The end of each topic's partition after this writer's last commit to it.

        A topic that it has not written to is missing. A log that puts marks of its own
        behind the records may end further on.
        """
        ...

    async def commit(self, entries: Mapping[str, Sequence[Entry]]) -> None:
        """Append all entries, by topic, to the shard's partitions: all or nothing.

        On return they are durable and visible, per topic in the order given. Raises
        ``Fenced`` (nothing written), ``RecordTooLarge`` and ``LogFull`` (nothing
        written), ``LogRewound`` (nothing written) where a partition ends before ``ends``,
        or ``LogUnavailable``: then the outcome is **unknown**, perhaps all was
        written, never a part. After any exception the writer is spent: acquire the
        shard anew and read what was committed. At most one commit at a time.
        """
        ...


class Membership(Protocol):
    """A share of the shards, given by the group to this instance."""

    def shards(self) -> frozenset[int]:
        """Return the shards that are this instance's to serve now.

        Of the live members exactly one is given each shard once things have settled;
        while they settle two may believe they have one (the fence decides), or none.
        """
        ...

    async def changed(self) -> frozenset[int]:
        """Wait until the share differs from the last one returned; return it."""
        ...


class EventLog(Protocol):
    """An opened log. Safe to use from any task of one event loop."""

    @property
    def where(self) -> str:
        """What to call this log in a message: a URL without secrets."""
        ...

    @property
    def one_time_a_commit(self) -> bool:
        """Whether all records of a commit have the same append time.

        On a broker each partition has a clock of its own.
        """
        ...

    async def create(self, topics: Sequence[TopicSpec]) -> tuple[str, ...]:
        """Create the topics that do not exist; return their names. Never alters one."""
        ...

    async def describe(self, topics: Sequence[TopicSpec]) -> tuple[TopicState, ...]:
        """Return those of ``topics`` that exist, each with its drift from the spec."""
        ...

    async def append(
        self, topic: str, entries: Sequence[tuple[int, Entry]]
    ) -> tuple[int, ...]:
        """Append entries, each to the partition named with it; return their offsets.

        Durable on return. Per partition in the order given; not atomic: on an exception
        any part may have been written. Raises ``UnknownTopic``, ``RecordTooLarge``,
        ``LogFull``, ``LogUnavailable``.
        """
        ...

    def reader(
        self, positions: Mapping[Partition, int]
    ) -> AbstractAsyncContextManager[Reader]:
        """Open a reader that starts at ``positions``.

        Raises ``OffsetOutOfRange`` on the first read if one is below the oldest or above
        the end, ``UnknownTopic`` on entering.
        """
        ...

    async def oldest(self, partitions: Sequence[Partition]) -> Mapping[Partition, int]:
        """Return the offset below which retention dropped everything, of each."""
        ...

    async def ends(self, partitions: Sequence[Partition]) -> Mapping[Partition, int]:
        """Return the end of each partition: all committed records stand before it."""
        ...

    async def positions_at(
        self, partitions: Sequence[Partition], *, time_ms: int
    ) -> Mapping[Partition, int]:
        """Return the position of the first record whose log time is ``time_ms`` or later.

        That is the end of the partition when there is none.
        """
        ...

    async def ages(
        self, positions: Mapping[Partition, int], *, now_ms: int
    ) -> Mapping[Partition, int]:
        """Return how old the first record at each position or after it is.

        In milliseconds, as retention counts it. A broker goes by its clock: ``now_ms`` is
        the caller's, and stands in for that. A file goes by the append times alone, of which
        no gap counts for more than an hour. Partitions that hold no such record are left
        out, and those that do not answer now. May raise ``OffsetOutOfRange`` where retention
        has passed a position.
        """
        ...

    def own(self, shard: int) -> AbstractAsyncContextManager[ShardWriter]:
        """Acquire a shard: from now on every earlier owner is fenced.

        An open transaction of an earlier owner is ended (aborted, or completed if its
        commit was under way) before this returns.
        """
        ...

    def member(
        self, group: str, *, instance: str
    ) -> AbstractAsyncContextManager[Membership]:
        """Join ``group``: its members share out the partitions of ``SHARDS_TOPIC``.

        Leaving by the context manager gives the shards up at once; a killed member's
        shards go to the others after a time-out. The context ends with ``LogRefused``
        once the log refuses the member for good.
        """
        ...


class OpenLog(Protocol):
    """Opens a log; how the composition root hands an adapter on."""

    def __call__(self) -> AbstractAsyncContextManager[EventLog]:
        """Open the log and close it on exit."""
        ...


async def read_to(
    reader: Reader, ends: Mapping[Partition, int], *, max_records: int = 5_000
) -> AsyncIterator[Batches]:
    """Yield batches until every partition in ``ends`` has been read up to its end."""
    while any(reader.position(p) < end for p, end in ends.items()):
        batches = await reader.read(max_records=max_records, wait_s=1.0)
        if batches:
            yield batches
