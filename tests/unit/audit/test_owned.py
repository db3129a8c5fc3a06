"""The state of one owner out of a snapshot is that which all of it would give."""

import pytest

from audit.core.snapshots import Damaged
from audit.owned import owner_records
from audit.snapshots import load, snapshots
from processor.core.shard_state import KINDS
from schemas.topics import BALANCES_RAW, PRICES_RAW, SNAPSHOTS, TOKENS_RAW
from tests.support.audited import SHARD, a_history
from tests.support.folding import ALPHA, USER
from tests.unit.audit.test_as_of import written


@pytest.mark.parametrize(
    ("topic", "owner"),
    [(PRICES_RAW, ALPHA), (TOKENS_RAW, ALPHA), (BALANCES_RAW, USER)],
)
async def test_it_is_what_the_whole_snapshot_holds_of_the_owner(
    topic: str, owner: str
) -> None:
    log = a_history()
    await written(log, 3)
    # Half a snapshot of another who died in between.
    first = log.of(SNAPSHOTS, SHARD)[0]
    log.put(SNAPSHOTS, SHARD, [(first.key, first.value, ())])
    await written(log, 7)
    found = (await snapshots(log.as_log(), SHARD))[0]
    whole = (await load(log.as_log(), found)).state
    kind, name = KINDS[topic], owner.encode()
    expected = {
        (key, value)
        for key, value in whole.records()
        if key.split(b":")[0] in {kind.itself, kind.part}
        and key.split(b":")[1:2] == [name]
        and (topic != TOKENS_RAW or key.startswith(b"token:"))
    }
    assert expected
    assert set(await owner_records(log.as_log(), found, topic, name)) == expected


async def test_a_snapshot_with_a_chunk_missing_is_damaged() -> None:
    log = a_history()
    await written(log, 3)
    (found,) = await snapshots(log.as_log(), SHARD)
    records = log.of(SNAPSHOTS, SHARD)
    records[0] = records[0]._replace(
        value=b'{"of":"no snapshot, but of %b"}' % USER.encode()
    )
    with pytest.raises(Damaged, match="0 chunks, not 1"):
        await owner_records(log.as_log(), found, BALANCES_RAW, USER.encode())
    value = b'{"of":"no chunk, but %b of %b"}' % (
        found.header.id.encode(),
        USER.encode(),
    )
    records[0] = records[0]._replace(value=value)
    assert await owner_records(log.as_log(), found, BALANCES_RAW, USER.encode()) == []
