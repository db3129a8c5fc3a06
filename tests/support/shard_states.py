"""What a shard remembers, read back from its log, and folded from the raw topics."""

from collections.abc import Sequence
from hashlib import sha256

from eventlog.port import EventLog, Partition, Record
from processor.core.batch import fold_batch
from processor.core.shard_state import ShardState
from processor.restore import Restored
from schemas.journal import GENESIS, FoldSettings
from schemas.states import POSITION_KEY
from schemas.topics import JOURNAL, RAW
from tests.support.logs import read_all, read_one


async def check_restored(log: EventLog, shard: int) -> None:
    """Compare what a new owner would restore with a fold of all that there is to read."""
    restored, folded = await _restored(log, shard), await _folded(log, shard)
    assert _records(restored) == _records(folded)
    assert restored.position.positions == folded.position.positions
    assert restored.position.log_time == folded.position.log_time
    journal = await read_one(log, Partition(JOURNAL, shard))
    chain = sha256(journal[-1].value or b"").hexdigest() if journal else GENESIS
    assert restored.position.commit == len(journal)
    assert restored.position.chain == chain


async def _restored(log: EventLog, shard: int) -> ShardState:
    restored = Restored(shard, progress=lambda *_: None)
    async with log.own(shard) as writer:
        await restored.catch_up(log, writer, "reader")
    return restored.state


async def _folded(log: EventLog, shard: int) -> ShardState:
    """Fold the whole of a shard's inputs, in commits of another size than any owner's."""
    partitions = [Partition(topic, shard) for topic in RAW]
    records = await read_all(log, partitions)
    state = ShardState(shard)
    state.start_at(
        {at.topic: offset for at, offset in (await log.oldest(partitions)).items()}
    )
    inputs: Sequence[tuple[str, Sequence[Record]]] = [
        (at.topic, found) for at, found in records.items() if found
    ]
    while inputs:
        batch = fold_batch(state, inputs, settings=FoldSettings())
        inputs = batch.rest(inputs)
        batch.apply()
    return state


def _records(state: ShardState) -> dict[bytes, bytes]:
    """Return all that is held but the position, which says how it was cut."""
    return {key: value for key, value in state.records() if key != POSITION_KEY}
