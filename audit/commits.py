"""The commits of one shard in their order, each with all that its journal record names."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

from audit.core.commits import (
    CommitRead,
    is_within,
    origin_of,
    read_commit,
)
from audit.errors import HistoryGone
from audit.streams import Stream, open_stream
from eventlog.port import EventLog, Partition, Record
from schemas.journal import Commit
from schemas.topics import CHANGES, JOURNAL, RAW, REJECTS

# What a shard's history is read from.
SOURCES = (JOURNAL, *RAW, CHANGES, REJECTS)
# Without one of these a commit cannot be derived again; rejects are kept a shorter time.
NEEDED = (JOURNAL, *RAW, CHANGES)
SETTLE_S = 2.0


async def oldest_needed(log: EventLog, shard: int) -> dict[str, int]:
    """Return below which offset retention dropped everything, of each topic needed."""
    oldest = await log.oldest([Partition(topic, shard) for topic in NEEDED])
    return {topic: offset for (topic, _), offset in oldest.items()}


def check_held(said: Commit, oldest: Mapping[str, int], *, shard: int) -> None:
    """Raise ``HistoryGone`` where retention has dropped some of what a commit read."""
    for topic, stretch in said.inputs.items():
        if stretch.start < oldest.get(topic, 0):
            raise HistoryGone(topic, shard, oldest=oldest[topic])


class Commits:
    """Reads commits one after the other; memory holds one, and what is read ahead."""

    def __init__(
        self, shard: int, streams: Mapping[str, Stream], *, rejects_whole: bool
    ) -> None:
        self.shard = shard
        self._streams = streams
        self._rejects_whole = rejects_whole

    @property
    def places(self) -> dict[str, int]:
        """The next offset of each topic: where the commits returned so far end.

        That of rejects is 0 as long as retention may have dropped some of those to come.
        """
        places = {topic: stream.position for topic, stream in self._streams.items()}
        return places if self._rejects_whole else {**places, REJECTS: 0}

    async def next(
        self, *, wait_s: float = 0.0, before: int | None = None
    ) -> CommitRead | None:
        """Return the next commit; ``None`` if there is none within ``wait_s``.

        ``before`` is an offset in the journal at which the commits asked for end. Raises ``DifferenceFound`` for a journal record that cannot be read.
        """
        journal = self._streams[JOURNAL]
        record = await journal.peek(wait_s=wait_s)
        if record is None or (before is not None and record.offset >= before):
            return None
        said = read_commit(record, shard=self.shard)
        following = await journal.peek(ahead=1)
        inputs = [
            (topic, await self._inputs(topic, said))
            for topic in RAW
            if topic in said.inputs
        ]
        changes = await self._streams[CHANGES].take(said.published.count)
        rejects, whole = await self._rejects(said)
        await journal.take(1)
        return CommitRead(record, said, inputs, changes, rejects, whole, following)

    async def left_over(self, topic: str) -> Record | None:
        """Return the next record of a topic that no commit so far has claimed."""
        return await self._streams[topic].peek()

    async def _inputs(self, topic: str, said: Commit) -> list[Record]:
        stretch = said.inputs[topic]
        # One more than it says is enough to see that there are more.
        at_most = stretch.count + 1
        return await self._streams[topic].take_before(stretch.end, at_most=at_most)

    async def _rejects(self, said: Commit) -> tuple[list[Record], bool]:
        """Return the rejects that are still held, and whether none can be missing."""
        stream, count = self._streams[REJECTS], said.rejects.count
        if self._rejects_whole or not count:
            return await stream.take(count), self._rejects_whole
        held: list[Record] = []
        while len(held) < count and (first := await stream.peek()) is not None:
            if not is_within(origin_of(first), said):
                break
            held += await stream.take(1)
        # From the first that is held on none may be missing.
        self._rejects_whole = bool(held)
        return held, False


@asynccontextmanager
async def open_commits(
    log: EventLog,
    shard: int,
    *,
    start: Mapping[str, int] | None = None,
    settle_s: float = SETTLE_S,
) -> AsyncIterator[Commits]:
    """Read the commits of a shard from the places in ``start``, else from the oldest.

    Rejects are kept for a shorter time than all else; raises ``OffsetOutOfRange`` on
    reading when anything else is gone.
    """
    partitions = [Partition(topic, shard) for topic in SOURCES]
    oldest = {at.topic: n for at, n in (await log.oldest(partitions)).items()}
    places = {**oldest, **(start or {})}
    wanted_rejects = places[REJECTS] if start else 0
    places[REJECTS] = max(places[REJECTS], oldest[REJECTS])
    async with AsyncExitStack() as stack:
        streams = {
            at.topic: await stack.enter_async_context(
                open_stream(log, at, start=places[at.topic], settle_s=settle_s)
            )
            for at in partitions
        }
        whole = places[REJECTS] == wanted_rejects
        yield Commits(shard, streams, rejects_whole=whole)
