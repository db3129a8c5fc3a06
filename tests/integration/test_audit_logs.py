"""The audit on real logs: history as it was written, cut anywhere, and tampered with."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pytest

from audit.as_of import cut_at, table_at
from audit.config import WatchConfig
from audit.core.difference import Check, Difference
from audit.errors import HistoryGone
from audit.heads import compared, head_now
from audit.journal import last_commit
from audit.snapshots import snapshots
from audit.verify import VerifyConfig, verify_shard
from audit.watching import Watching
from eventlog.port import EventLog, Partition, Record
from runtime.clock import SystemClock
from schemas.ids import Network
from schemas.log import LogIdentity, World
from schemas.topics import CHANGES, JOURNAL, LATEST, PRICES_RAW, RAW, REJECTS
from tests.support import history
from tests.support.audited import observations
from tests.support.awaiting import eventually
from tests.support.copied_log import copy_of
from tests.support.folded import a_folded_file, fold, remove, tamper
from tests.support.forgetful_log import forgetful
from tests.support.history_noise import noise
from tests.support.logs import PARTITIONS, Place, open_at, read_one
from tests.support.pipeline import SHARDS, TOPICS
from tests.support.places import KINDS, fresh_place
from tests.support.tasks import beside

_ONE_IN = 12
# On a broker each cut opens consumers.
_CUTS = {"sqlite": 200, "kafka": 50}
IDENTITY = LogIdentity(
    id="0123456789abcdef" * 2,
    network=Network.MAINNET,
    world=World.SIMULATED,
    partitions=PARTITIONS,
    created_at=1,
)
CONFIG = VerifyConfig(settle_s=0.1)


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return fresh_place(request, tmp_path)


async def watched(log: EventLog, shard: int) -> None:
    """Follow a shard to its end, with a snapshot every now and then."""
    config = WatchConfig("one", snapshot_observations=400, wait_s=0.1)
    watching = Watching(log, shard, config=config, clock=SystemClock())
    newest = await last_commit(log, shard)
    assert newest is not None
    async with beside(watching.run()):
        await eventually(lambda: watching.commit == newest.said.commit)


def naively(changes: Sequence[Record], commit: int) -> dict[bytes | None, bytes]:
    table: dict[bytes | None, bytes | None] = {}
    for change in changes:
        if int(dict(change.headers)["commit"]) > commit:
            break
        table[change.key] = change.value
    return {key: value for key, value in table.items() if value is not None}


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_real_history_verifies_and_can_be_cut_anywhere(place: Place) -> None:
    seen = list(history.observations())[::_ONE_IN]
    entries = [*((o.topic, o.key, o.value) for o in seen), *noise(seen)]
    async with open_at(place) as log:
        await log.create(TOPICS)
        await fold(log, entries, inputs=50)
        for shard in SHARDS:
            await watched(log, shard)
            report = await verify_shard(log, shard, config=CONFIG)
            assert report.difference is None
            assert report.snapshots == len(await snapshots(log, shard)) > 0
            later = VerifyConfig(first=report.last, settle_s=0.1)
            from_there = await verify_shard(log, shard, config=later)
            assert (from_there.difference, from_there.last) == (None, report.last)
            assert from_there.start > 0
        await cuts_are_right(log, cuts=_CUTS[place.kind])
        await heads_are_contained(log)


async def heads_are_contained(log: EventLog) -> None:
    head = await head_now(log, IDENTITY)
    assert head.cut == await cut_at(log, IDENTITY, 9_999_999_999_999)
    await fold(log, list(observations())[:9])
    later = await head_now(log, IDENTITY)
    assert later != head
    assert (await compared(log, IDENTITY, head)).is_contained
    swapped = replace(head, chains=head.chains[::-1])
    assert (await compared(log, IDENTITY, swapped)).differs


async def cuts_are_right(log: EventLog, *, cuts: int) -> None:
    changes = {
        shard: await read_one(log, Partition(CHANGES, shard)) for shard in SHARDS
    }
    journal = {
        shard: await read_one(log, Partition(JOURNAL, shard)) for shard in SHARDS
    }
    draw = Random(7)
    for _ in range(cuts):
        shard = draw.choice(list(SHARDS))
        commit = draw.randint(0, len(journal[shard]))
        table = await table_at(log, shard, commit)
        found = {key: row.value for key, row in table.items()}
        assert found == naively(changes[shard], commit), (shard, commit)
    now = await cut_at(log, IDENTITY, 9_999_999_999_999)
    assert now.commits == tuple(len(journal[shard]) for shard in SHARDS)


# ---- tampered with


class Tampered(NamedTuple):
    """One thing that was changed, and where it must be found."""

    topic: str
    old: bytes
    new: bytes
    check: Check
    after: int = 0


CHANGED = [
    pytest.param(
        Tampered(PRICES_RAW, b'"usd":"1.2', b'"usd":"1.3', Check.RAW), id="raw"
    ),
    pytest.param(
        Tampered(PRICES_RAW, b"nonsense", b"Nonsense", Check.RAW),
        id="raw that changed nothing",
    ),
    pytest.param(
        Tampered(CHANGES, b'"version":2', b'"version":3', Check.CHANGES), id="a version"
    ),
    pytest.param(
        Tampered(CHANGES, b'"usd":"1.', b'"usd":"2.', Check.CHANGES), id="a value"
    ),
    pytest.param(
        Tampered(JOURNAL, b'"priceMaxAgeMs":900000', b'"priceMaxAgeMs":1', Check.CHAIN),
        id="a setting",
    ),
    pytest.param(
        Tampered(REJECTS, b'"reason":"schema"', b'"reason":"future"', Check.REJECTS),
        id="a reject",
    ),
    pytest.param(
        Tampered(LATEST, b'"version":', b'"version":9', Check.LATEST, after=-1),
        id="the public table",
    ),
]
# On a broker each costs a copy of the log.
FORGED = [CHANGED[1], CHANGED[3], CHANGED[4], CHANGED[5]]


async def differences(place: Place) -> list[Difference]:
    async with open_at(place) as log:
        reports = [await verify_shard(log, s, config=CONFIG) for s in SHARDS]
    return [report.difference for report in reports if report.difference is not None]


@pytest.mark.parametrize("tampered", CHANGED)
async def test_an_edit_of_the_file_is_found(tmp_path: Path, tampered: Tampered) -> None:
    path = a_folded_file(tmp_path / "log.sqlite")
    topic, old, new, check, after = tampered
    shard, offset = tamper(path, topic, old, new, after=after)
    (found,) = await differences(Place("sqlite", str(path)))
    assert (found.check, found.topic, found.shard) == (check, topic, shard), f"{found}"
    if topic not in RAW:
        assert found.offset == offset


@pytest.mark.parametrize(
    ("topic", "after", "check"),
    [
        pytest.param(PRICES_RAW, 3, Check.RANGE, id="an observation"),
        pytest.param(CHANGES, 3, Check.CHANGES, id="a change"),
        pytest.param(JOURNAL, 1, Check.COMMIT_NUMBER, id="a commit"),
        pytest.param(REJECTS, 0, Check.REJECTS, id="a reject"),
    ],
)
async def test_what_is_taken_from_the_file_is_missed(
    tmp_path: Path, topic: str, after: int, check: Check
) -> None:
    path = a_folded_file(tmp_path / "log.sqlite")
    shard, _ = remove(path, topic, after=after)
    (found,) = await differences(Place("sqlite", str(path)))
    assert (found.check, found.shard) == (check, shard), f"{found}"


def forged(
    at: Partition, records: list[Record], *, tampered: Tampered, done: list[Partition]
) -> list[Record]:
    """Change the first record that holds what is to be changed."""
    for number, record in enumerate(records):
        value = record.value or b""
        if at.topic == tampered.topic and tampered.old in value and not done:
            changed = value.replace(tampered.old, tampered.new)
            records[number] = record._replace(value=changed)
            done.append(at)
    return records


@pytest.fixture(scope="module")
def original() -> list[Place]:
    """Hold the one log on the broker that all copies are made of."""
    return []


@pytest.mark.broker
@pytest.mark.timeout(90)
@pytest.mark.parametrize("tampered", FORGED)
async def test_a_forged_copy_on_a_broker_is_found(
    broker: str, original: list[Place], tampered: Tampered
) -> None:
    if not original:
        place = Place("kafka", broker, prefix="audit-original.")
        async with open_at(place) as log:
            await log.create(TOPICS)
            await fold(log, list(observations()), inputs=5)
        assert await differences(place) == []
        assert await differences(await copy_of(place)) == []
        original.append(place)
    done: list[Partition] = []
    copy = await copy_of(original[0], partial(forged, tampered=tampered, done=done))
    (found,) = await differences(copy)
    assert (found.check, found.topic) == (tampered.check, tampered.topic), f"{found}"
    assert found.shard == done[0].number


# ---- from a declared point


async def test_a_log_that_lost_observations_proves_itself_from_a_declared_point(
    place: Place,
) -> None:
    async with forgetful(place) as world:
        log = world.log
        await fold(log, list(observations())[:30], inputs=5)
        for shard in SHARDS:
            await world.forget(Partition(PRICES_RAW, shard))
        lost = [shard for shard in SHARDS if await has_lost(log, shard)]
        assert lost
        for shard in lost:
            with pytest.raises(HistoryGone):
                await verify_shard(log, shard, config=CONFIG)
            await follows(log, shard, lost_before_ms=9_999_999_999_999)
        await fold(log, list(observations())[30:], inputs=5)
        for shard in lost:
            await follows(log, shard)
            report = await verify_shard(log, shard, config=CONFIG)
            assert report.difference is None
            assert report.start == report.declared > 0


async def has_lost(log: EventLog, shard: int) -> bool:
    at = Partition(PRICES_RAW, shard)
    return (await log.oldest([at]))[at] > 0


async def follows(log: EventLog, shard: int, **config: Any) -> None:
    """Follow a shard to its end."""
    wanted = WatchConfig("one", settle_s=1, wait_s=0.1, **config)
    watching = Watching(log, shard, config=wanted, clock=SystemClock())
    newest = await last_commit(log, shard)
    assert newest is not None
    async with beside(watching.run()):
        await eventually(lambda: watching.commit == newest.said.commit)
