"""The processor with one of its protections taken out.

Each is a patch that a victim's process applies to itself. Whoever judges a run must
find the damage that each of them leaves, or the judgement is worth nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any
from uuid import uuid4

from eventlog.kafka import producers
from eventlog.kafka import writer as kafka_writer
from eventlog.kafka.producers import Sent
from eventlog.port import Entry, EventLog, ShardWriter
from eventlog.sqlite import writer as sqlite_writer
from processor import restore
from processor.core.batch import Batch
from processor.restore import Restored
from processor.shard import Shard
from schemas.topics import STATE
from tests.chaos.points import Entries, replace


def unawaited_sends() -> None:
    """Commit without asking what became of the records sent."""

    async def never_asked(sent: Sequence[Sent]) -> tuple[int, ...]:
        # So that no end is waited for: the last record stands before the first offset.
        return tuple(-len(each.batch.entries) for each in sent)

    replace(kafka_writer, "answers", never_asked)


def no_barrier() -> None:
    """Take the state for complete once there is nothing more to read for a second."""

    async def catch_up(
        restored: Any, log: EventLog, writer: ShardWriter, owner: str
    ) -> int:
        at, count = restored._partition, 0
        start = restored._read_to or (await log.oldest([at]))[at]
        async with log.reader({at: start}) as reader:
            while batches := await reader.read(max_records=restore._BATCH, wait_s=1.0):
                for record in batches[at]:
                    restored.state.load(record.key or b"", record.value)
                    count += 1
            restored._read_to = reader.position(at)
        return count

    replace(Restored, "catch_up", catch_up)


def no_fence() -> None:
    """Let every owner of a shard write, however many came after it."""
    start_producer = producers.start_producer

    async def start_as_another(
        config: Any, *, transactional_id: str, limit_s: float
    ) -> Any:
        name = f"{transactional_id}-{uuid4().hex}"
        return await start_producer(config, transactional_id=name, limit_s=limit_s)

    replace(kafka_writer, "start_producer", start_as_another)
    replace(sqlite_writer, "check_epoch", lambda db, shard, epoch: None)


def position_apart(*, first: bool) -> None:
    """Commit the position in a transaction of its own, before the rest or after it."""

    async def commit(_: Any, batch: Batch, writer: ShardWriter, marks: Any) -> None:
        *state, position = batch.entries[STATE]
        rest: Any = {**batch.entries, STATE: state}
        parts: list[Entries] = [rest, {STATE: [Entry(*position)]}]
        for part in reversed(parts) if first else parts:
            await writer.commit(part)
        batch.apply()

    replace(Shard, "_commit", commit)


def early_overlay() -> None:
    """Take the state of after a commit over before the log has the commit."""
    commit = Shard._commit

    async def apply_first(
        shard: Shard, batch: Batch, writer: ShardWriter, marks: Any
    ) -> None:
        batch.apply()
        await commit(shard, batch, writer, marks)

    replace(Shard, "_commit", apply_first)


MUTANTS: Mapping[str, Callable[[], None]] = {
    "unawaited-sends": unawaited_sends,
    "no-barrier": no_barrier,
    "no-fence": no_fence,
    "position-before": partial(position_apart, first=True),
    "position-after": partial(position_apart, first=False),
    "early-overlay": early_overlay,
}
