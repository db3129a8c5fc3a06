"""Questions to real logs: why, what otherwise, and all of it as files."""

from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import orjson
import pytest

from app.topics import apply, read_identity
from audit.core.subjects import Key, subject_in
from audit.diff import DiffConfig, diff_shard
from audit.explain import explain, fate_of
from audit.export import ExportConfig, export
from audit.index import Index, open_index
from audit.indexing import extend_index
from audit.journal import last_commit
from audit.refolding import Asked
from eventlog.port import EventLog, Partition
from schemas.journal import Decision, Origin
from schemas.topics import CHANGES, DAY_MS, RAW, REJECTS
from tests.support import history
from tests.support.audited import observations
from tests.support.folded import WANTED, fold
from tests.support.history_noise import noise
from tests.support.logs import Place, now_ms, open_at, read_one
from tests.support.pipeline import SHARDS
from tests.support.places import KINDS, fresh_place

LOG_ID = "0123456789abcdef" * 2
pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]
_ONE_IN, _SOME = 40, 10


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return fresh_place(request, tmp_path)


@pytest.fixture
async def log(place: Place) -> AsyncIterator[EventLog]:
    """Real history, in small commits, with all that may be wrong in it."""
    seen = list(history.observations())[::_ONE_IN]
    entries = [*((o.topic, o.key, o.value) for o in seen), *noise(seen)]
    async with open_at(place) as opened:
        await apply(opened, WANTED, new_id=LOG_ID, now_ms=now_ms)
        await fold(opened, [*observations(), *entries], inputs=20)
        yield opened


async def last_number(log: EventLog, shard: int) -> int:
    newest = await last_commit(log, shard)
    return newest.said.commit if newest else 0


async def check_keys(log: EventLog, index: Index, shard: int) -> int:
    """Explain some keys of a shard; return how many."""
    last = await last_number(log, shard)
    changes = await read_one(log, Partition(CHANGES, shard))
    newest = {change.key: change for change in changes}
    asked = Asked(log, index, shard)
    some = Random(shard).sample(sorted(newest.items()), min(_SOME, len(newest)))
    for name, change in some:
        key = subject_in((name or b"").decode())
        assert isinstance(key, Key)
        found = await explain(asked, key, commit=last)
        assert found.value is not None
        assert (found.value.offset, found.value.value) == (change.offset, change.value)
        assert found.led.steps[-1].decision is Decision.PUBLISHED
    return len(some)


async def check_rejects(log: EventLog, index: Index, shard: int) -> None:
    rejects = await read_one(log, Partition(REJECTS, shard))
    asked = Asked(log, index, shard)
    for record in Random(shard).sample(rejects, min(_SOME, len(rejects))):
        origin = Origin(*orjson.loads(record.value or b"")["origin"])
        found = await fate_of(asked, origin)
        assert found.reject == record.offset


async def test_keys_and_rejects_are_explained(log: EventLog) -> None:
    keys = 0
    with open_index(None, log_id=LOG_ID) as index:
        for shard in SHARDS:
            await extend_index(log, index, shard)
            keys += await check_keys(log, index, shard)
            await check_rejects(log, index, shard)
    assert keys > 10


async def test_as_it_was_folded_nothing_is_otherwise_and_all_is_exported(
    log: EventLog, tmp_path: Path
) -> None:
    for shard in SHARDS:
        found = await diff_shard(log, shard, config=DiffConfig())
        assert not found.is_different
        other = DiffConfig(changed={"price_deviation": "0.9"})
        changes = await read_one(log, Partition(CHANGES, shard))
        if any((change.key or b"").startswith(b"price:") for change in changes):
            assert (await diff_shard(log, shard, config=other)).is_different
    identity = await read_identity(log)
    assert identity is not None
    end_ms = now_ms() + DAY_MS
    config = ExportConfig("observations", 0, end_ms, "jsonl", tmp_path / "out")
    wrote = await export(log, identity, config)
    total = 0
    for at in [Partition(topic, shard) for topic in RAW for shard in SHARDS]:
        total += len(await read_one(log, at))
    assert wrote.rows == total
    assert (await export(log, identity, config)).rows == 0
