"""`latest` lost beside the rest of the log: refused, written again, gone on from."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import pytest

from app import rebuild
from app.errors import OperatorError
from app.rebuild import Rebuilt, rebuild_latest
from app.topics import apply, check_identity, read_identity, show
from audit.as_of import table_at
from audit.core.table import Standing
from audit.snapshots import write_snapshot
from audit.verify import VerifyConfig, verify_shard
from eventlog.port import Entry, EventLog, LogUnavailable, Partition, Reader
from processor.config import ProcessorConfig, random_term_id
from processor.core.batch import Limits
from processor.restore import Restored
from processor.terms import LatestLost
from runtime.supervisor import leaves
from schemas.base import decoder
from schemas.ids import Network
from schemas.latest import terms_key, watermark_key
from schemas.log import LogIdentity, Terms, World
from schemas.states import IDENTITY_COPY_KEY
from schemas.topics import (
    CHANGES,
    JOURNAL,
    LATEST,
    PRICES_RAW,
    RAW,
    REJECTS,
    STATE,
)
from tests.support.folded import WANTED
from tests.support.history_noise import Raw
from tests.support.logs import LONG_S, Place, now_ms, open_at, read_one
from tests.support.lossy_log import Fate, LossyLog
from tests.support.lost_topics import delete_records, delete_topic
from tests.support.pipeline import SHARDS, TOPICS, Told, append, check, follow_progress
from tests.support.places import KINDS, fresh_place
from tests.support.processes import Ended, run
from tests.support.processing import a_part, processing
from tests.support.sqlite_logs import cut_back

Table = dict[tuple[int, bytes], tuple[bytes, tuple[tuple[str, bytes], ...]]]
_OWN = (b"watermark:", b"observed:", b"unquoted:", b"terms:")

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return fresh_place(request, tmp_path)


@pytest.fixture
def file(tmp_path: Path) -> Place:
    return Place("sqlite", str(tmp_path / "log.sqlite"))


async def made(log: EventLog) -> LogIdentity:
    applied = await apply(log, WANTED, new_id="0123456789abcdef" * 2, now_ms=now_ms)
    return applied.identity


async def fold(log: EventLog, identity: LogIdentity, entries: Sequence[Raw]) -> None:
    """Append entries and let a processor fold all there is."""
    config = ProcessorConfig("one", limits=Limits(inputs=100))
    await append(log, entries)
    raw = [Partition(topic, shard) for topic in RAW for shard in SHARDS]
    found = await log.ends(raw)
    ends = {(at.topic, at.number): end for at, end in found.items() if end}
    async with (
        follow_progress(log) as progress,
        processing(log, config, identity=identity),
    ):
        await progress.reached(ends)
        await begun(log)


async def begun(log: EventLog) -> None:
    """Wait until every shard has an owner that has begun its term."""
    oldest = await log.oldest([Partition(LATEST, shard) for shard in SHARDS])
    waiting = {watermark_key(shard) for shard in SHARDS}
    async with asyncio.timeout(LONG_S), log.reader(oldest) as reader:
        while waiting:
            batches = await reader.read(max_records=1_000, wait_s=1)
            waiting -= {r.key for records in batches.values() for r in records}


def halves(told: Told) -> tuple[Sequence[Raw], Sequence[Raw]]:
    middle = len(told.entries) // 2
    return told.entries[:middle], told.entries[middle:]


async def table(log: EventLog) -> Table:
    """Return the values of all shards, the identity among them."""
    found: Table = {}
    for shard in SHARDS:
        for record in await read_one(log, Partition(LATEST, shard)):
            key = shard, record.key or b""
            if record.value is None:
                found.pop(key, None)
            elif not key[1].startswith(_OWN):
                found[key] = record.value, tuple(record.headers)
    return found


async def rebuilt(log: EventLog) -> Rebuilt:
    def check_it(identity: LogIdentity) -> None:
        check_identity(
            identity, network=Network.MAINNET, world=World.SIMULATED, where="here"
        )

    return await rebuild_latest(log, check=check_it, new_term_id=random_term_id)


async def terms(log: EventLog, shard: int) -> Terms:
    records = await read_one(log, Partition(LATEST, shard))
    *_, value = [r.value for r in records if r.key == terms_key(shard)]
    found: Terms = decoder(Terms)(value or b"")
    return found


async def test_a_table_that_was_deleted_is_refused_written_again_and_gone_on_from(
    place: Place,
) -> None:
    told = a_part()
    first, second = halves(told)
    async with open_at(place) as log:
        identity = await made(log)
        await fold(log, identity, first)
        before = await table(log)
    await delete_topic(place, LATEST)
    async with open_at(place) as log:
        with pytest.raises(OperatorError, match=r"has lost latest.*rebuild latest"):
            await made(log)
        assert "rebuild latest" in ((await show(log, WANTED)).lost or "")
        done = await rebuilt(log)
        assert (done.identity, done.created) == (identity, True)
        assert await read_identity(log) == identity
        assert await table(log) == before
        for shard in SHARDS:
            (term,) = (await terms(log, shard)).terms
            assert term.start == 0
        again = await rebuilt(log)
        assert not any(each.written or each.began for each in again.shards)
        assert (await show(log, WANTED)).lost is None
        await fold(log, identity, second)
        await check(log, told)
        for shard in SHARDS:
            await verify_shard(log, shard, config=VerifyConfig())


@pytest.mark.broker
async def test_a_table_whose_records_were_deleted_is_not_gone_on_from(
    broker: str,
) -> None:
    place = Place("kafka", broker, prefix=f"t{uuid4().hex[:12]}.")
    told = a_part()
    first, second = halves(told)
    async with open_at(place) as log:
        identity = await made(log)
        await fold(log, identity, first)
        before = await table(log)
        ends = await log.ends([Partition(LATEST, shard) for shard in SHARDS])
        for at, end in ends.items():
            await delete_records(place, at, before=end)
        with lost():
            await fold(log, identity, second)
        assert not (await rebuilt(log)).created
        assert await table(log) == before
        for shard in SHARDS:
            (term,) = (await terms(log, shard)).terms
            assert term.start >= ends[Partition(LATEST, shard)]
        await fold(log, identity, [])
        await check(log, told)


@contextmanager
def lost() -> Iterator[None]:
    """Expect that one shard or several miss values, and say what to do."""
    with pytest.raises(BaseExceptionGroup) as caught:
        yield
    for error in leaves(caught.value):
        assert isinstance(error, LatestLost)
        assert "rebuild latest" in f"{error}"


@pytest.mark.broker
async def test_a_table_made_anew_under_a_running_processor_stops_it(
    broker: str,
) -> None:
    place = Place("kafka", broker, prefix=f"t{uuid4().hex[:12]}.")
    first, second = halves(a_part())
    async with open_at(place) as log:
        identity = await made(log)
        await fold(log, identity, first)
        before = await table(log)
        with lost():
            async with processing(log, identity=identity), asyncio.timeout(LONG_S):
                await begun(log)
                await delete_topic(place, LATEST)
                (spec,) = [topic for topic in TOPICS if topic.name == LATEST]
                await log.create([spec])
                await append(log, second)
                await asyncio.Event().wait()
        with lost():
            await fold(log, identity, [])
        await rebuilt(log)
        assert (await table(log)).items() >= before.items()


# ---- whatever the log, shown on a file


async def lose_latest(file: Place) -> tuple[LogIdentity, Table]:
    """Fold a history and delete the table; return what stood in it."""
    async with open_at(file) as log:
        identity = await made(log)
        await fold(log, identity, a_part().entries)
        before = await table(log)
    await delete_topic(file, LATEST)
    return identity, before


async def test_a_rebuild_that_was_interrupted_is_not_gone_on_from_but_finished(
    file: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuild, "_AT_ONCE", 5)
    identity, before = await lose_latest(file)
    async with open_at(file) as log:
        # The terms, and one piece of the values; then the log is away.
        fates = [Fate.DONE, Fate.DONE, Fate.LOST]
        with pytest.raises(LogUnavailable):
            await rebuilt(LossyLog(log, LATEST, fates).as_log())
        with lost():
            await fold(log, identity, [])
        done = await rebuilt(log)
        assert done.shards[0].written == done.shards[0].keys - 5
        assert await table(log) == before
        await fold(log, identity, [])


async def test_what_the_table_has_too_much_is_withdrawn(file: Place) -> None:
    async with open_at(file) as log:
        identity = await made(log)
        await fold(log, identity, a_part().entries)
        before = await table(log)
        # As if a tombstone, and a newer value, had been lost.
        (shard, key), (value, headers) = next(
            item for item in before.items() if item[0][1].startswith(b"price:")
        )
        async with log.own(shard) as writer:
            old = Entry(key, value.replace(b'"version":', b'"version":0'), headers)
            await writer.commit({LATEST: [old, Entry(b"price:gone", value, headers)]})
        found = (await rebuilt(log)).shards[shard]
        assert (found.written, found.withdrawn, found.began) == (1, 1, True)
        assert await table(log) == before


async def test_a_value_under_the_commit_of_another_is_written_again(
    file: Place,
) -> None:
    async with open_at(file) as log:
        identity = await made(log)
        await fold(log, identity, a_part().entries)
        before = await table(log)
        (shard, key), (value, _) = next(
            item for item in before.items() if item[0][1].startswith(b"price:")
        )
        async with log.own(shard) as writer:
            other = Entry(key, value, (("commit", b"999"),))
            await writer.commit({LATEST: [other]})
        found = (await rebuilt(log)).shards[shard]
        assert (found.written, found.withdrawn) == (1, 0)
        assert await table(log) == before


async def test_a_state_that_contradicts_the_changes_is_not_rebuilt_from(
    file: Place,
) -> None:
    async with open_at(file) as log:
        identity = await made(log)
        await fold(log, identity, a_part().entries)
        before = await table(log)
        shard, key = next(at for at in before if at[1].startswith(b"price:"))
        records = await read_one(log, Partition(STATE, shard))
        state = [record.value for record in records if record.key == key][-1] or b""
        async with log.own(shard) as writer:
            other = state.replace(b'"usd":"', b'"usd":"9')
            await writer.commit({STATE: [Entry(key, other)]})
        with pytest.raises(OperatorError, match="contradict one another about price:"):
            await rebuilt(log)
        assert await table(log) == before


async def test_without_a_copy_of_the_identity_nothing_is_written(file: Place) -> None:
    await lose_latest(file)
    async with open_at(file) as log:
        async with log.own(0) as writer:
            await writer.commit({STATE: [Entry(IDENTITY_COPY_KEY, None)]})
        with pytest.raises(OperatorError, match="lost its identity"):
            await rebuilt(log)
        assert LATEST in (await show(log, WANTED)).missing


async def test_a_log_of_another_world_is_not_written_to(file: Place) -> None:
    await lose_latest(file)
    async with open_at(file) as log:

        def refuse(identity: LogIdentity) -> None:
            check_identity(
                identity, network=Network.MAINNET, world=World.LIVE, where="here"
            )

        with pytest.raises(OperatorError, match="simulated world"):
            await rebuild_latest(log, check=refuse, new_term_id=random_term_id)
        assert LATEST in (await show(log, WANTED)).missing


async def test_history_that_is_gone_is_named(file: Place) -> None:
    await lose_latest(file)
    with closing(sqlite3.connect(file.address)) as db, db:
        (topic,) = db.execute(
            "SELECT id FROM topics WHERE name = ?", (CHANGES,)
        ).fetchone()
        db.execute("UPDATE partitions SET oldest = 1 WHERE topic = ?", (topic,))
    async with open_at(file) as log:
        with pytest.raises(OperatorError, match=r"changes\[0\] begins at offset 1,"):
            await rebuilt(log)


async def test_history_that_has_lost_its_end_is_named(file: Place) -> None:
    await lose_latest(file)
    for shard in SHARDS:
        cut_back(Path(file.address), Partition(CHANGES, shard), records=3)
    async with open_at(file) as log:
        with pytest.raises(OperatorError, match=r"changes\[0\] lacks [1-3] values"):
            await rebuilt(log)


async def test_a_snapshot_stands_in_for_changes_that_are_gone(file: Place) -> None:
    _, before = await lose_latest(file)
    async with open_at(file) as log:
        for shard in SHARDS:
            await snapshot(log, shard)
        ends = await log.ends([Partition(CHANGES, shard) for shard in SHARDS])
    with closing(sqlite3.connect(file.address)) as db, db:
        for (name, shard), end in ends.items():
            db.execute(
                "UPDATE partitions SET oldest = ? WHERE number = ?"
                " AND topic = (SELECT id FROM topics WHERE name = ?)",
                (end, shard, name),
            )
    async with open_at(file) as log:
        await rebuilt(log)
        assert await table(log) == before


async def snapshot(log: EventLog, shard: int) -> None:
    """Write a snapshot of all that a shard holds."""
    restored = Restored(shard, progress=lambda _, __: None)
    async with log.own(shard) as writer:
        await restored.catch_up(log, writer, "test")
    standing = Standing(
        restored.state, await table_at(log, shard, restored.state.position.commit)
    )
    topics = [*RAW, CHANGES, REJECTS, JOURNAL]
    ends = await log.ends([Partition(topic, shard) for topic in topics])
    places = {at.topic: end for at, end in ends.items()}
    await write_snapshot(
        log, standing, places, generation=2, snapshot_id=f"{shard:032x}"
    )


async def test_a_processor_that_takes_a_shard_ends_the_rebuild(file: Place) -> None:
    await lose_latest(file)
    async with open_at(file) as log:
        with pytest.raises(OperatorError, match="a processor has taken shard 0"):
            await rebuilt(cast("EventLog", TakenLog(log)))


class TakenLog:
    """A log whose shards are taken by another owner as soon as they are read from."""

    def __init__(self, log: EventLog) -> None:
        self._log = log

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    @asynccontextmanager
    async def reader(self, positions: Mapping[Partition, int]) -> AsyncIterator[Reader]:
        if any(at.topic == CHANGES for at in positions):
            async with self._log.own(0):
                pass
        async with self._log.reader(positions) as reader:
            yield reader


@pytest.mark.parametrize("name", [CHANGES, JOURNAL, STATE, PRICES_RAW])
async def test_other_topics_that_are_lost_are_not_made_anew_either(
    file: Place, name: str
) -> None:
    async with open_at(file) as log:
        identity = await made(log)
        await fold(log, identity, a_part().entries)
    await delete_topic(file, name)
    async with open_at(file) as log:
        with pytest.raises(OperatorError, match=f"has lost {name},.*from a copy"):
            await made(log)
        if name != PRICES_RAW:
            with pytest.raises(OperatorError, match=f"no topic {name}"):
                await rebuilt(log)


@pytest.mark.slow
async def test_the_commands_say_what_is_lost_and_put_it_right(
    file: Place, tmp_path: Path
) -> None:
    _, before = await lose_latest(file)
    told: dict[str, Ended] = {}
    for words in ("topics apply", "processor", "edge", "topics show", "doctor"):
        told[words] = await run(*words.split(), cwd=tmp_path, log=file.address, port=0)
        assert told[words].code == 1, told[words]
        assert (
            "`stacks-feed topics rebuild latest`" in told[words].out + told[words].err
        )
    done = await run("topics", "rebuild", "latest", cwd=tmp_path, log=file.address)
    assert (done.code, "Start the processors again" in done.out) == (0, True), done
    async with open_at(file) as log:
        assert await table(log) == before
    again = await run(
        "topics", "rebuild", "latest", "--json", cwd=tmp_path, log=file.address
    )
    said = json.loads(again.out)
    assert [each["newTerm"] for each in said["shards"]] == [False, False, False]
    shown = await run("topics", "show", cwd=tmp_path, log=file.address, audit_days=0)
    assert shown.code == 0, shown
