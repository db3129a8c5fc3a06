"""Topics and identity: created once, never altered, checked by every service."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from app import topics
from app.bootstrap import apply_topics, open_checked
from app.errors import OperatorError
from app.settings import read
from app.topics import Applied, Wanted, apply, read_identity, read_only_identity
from eventlog.port import Drift, Entry, EventLog, Fenced, Partition
from eventlog.sqlite import SqliteConfig, open_sqlite
from runtime.clock import SystemClock
from schemas.base import encode
from schemas.ids import Network
from schemas.latest import IDENTITY_KEY
from schemas.log import World
from schemas.topics import DAY_MS, LATEST, PRICES_RAW, TOPICS

WANTED = Wanted(Network.MAINNET, World.SIMULATED, partitions=2, audit_days=2)
ID, OTHER_ID = "a" * 32, "b" * 32


def now_ms() -> int:
    return 1_700_000_000_000


Open = Callable[[], AbstractAsyncContextManager[EventLog]]


@pytest.fixture
def open_log(tmp_path: Path) -> Open:
    config = SqliteConfig(path=tmp_path / "log.sqlite", now_ms=now_ms)
    return partial(open_sqlite, config)


@pytest.fixture
async def log(open_log: Open) -> AsyncIterator[EventLog]:
    async with open_log() as opened:
        yield opened


async def applied(log: EventLog, wanted: Wanted = WANTED, new_id: str = ID) -> Applied:
    return await apply(log, wanted, new_id=new_id, now_ms=now_ms)


def test_history_is_kept_for_the_audit_horizon_and_the_table_for_ever() -> None:
    specs = {spec.name: spec for spec in topics.specs(partitions=3, audit_days=2)}
    assert specs[PRICES_RAW].cleanup.retention_ms == 2 * DAY_MS
    assert specs[LATEST].cleanup.compact
    assert specs[LATEST].cleanup.retention_ms is None
    assert {spec.partitions for spec in specs.values()} == {3}
    for_ever = topics.specs(partitions=3, audit_days=0)
    assert for_ever[0].cleanup.retention_ms is None


async def test_applying_creates_all_topics_and_writes_the_identity(
    log: EventLog,
) -> None:
    done = await applied(log)
    assert set(done.created) == {topic.name for topic in TOPICS}
    assert done.drift == ()
    assert done.identity == await read_identity(log)
    assert (done.identity.id, done.identity.created_at) == (ID, now_ms())


async def test_applying_again_changes_nothing_and_leaves_the_owner_alone(
    log: EventLog,
) -> None:
    await applied(log)
    async with log.own(0) as owner:
        again = await applied(log, new_id=OTHER_ID)
        await owner.commit({LATEST: [Entry(b"price:.stx", b"1")]})
    assert (again.created, again.identity.id) == ((), ID)


async def test_of_many_who_apply_at_once_one_writes_the_identity(
    log: EventLog, open_log: Open
) -> None:
    ids = [character * 32 for character in "abcdef"]
    async with AsyncExitStack() as stack:
        handles = [await stack.enter_async_context(open_log()) for _ in ids]
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(applied(handle, new_id=new_id), name=new_id)
                for handle, new_id in zip(handles, ids, strict=True)
            ]
    assert len({task.result().identity.id for task in tasks}) == 1
    part = Partition(LATEST, 0)
    assert (await log.ends([part]))[part] == 1


async def test_writing_the_identity_fences_whoever_owned_the_shard(
    log: EventLog,
) -> None:
    await log.create(topics.specs(partitions=2, audit_days=2))
    async with log.own(0) as before:
        await applied(log)
        with pytest.raises(Fenced):
            await before.commit({LATEST: [Entry(b"x", b"1")]})


async def test_drift_is_reported_and_not_repaired(log: EventLog) -> None:
    await applied(log)
    drift = (await applied(log, replace(WANTED, partitions=3))).drift
    assert Drift(LATEST, "partitions", wanted="3", found="2") in drift
    assert (await topics.show(log, WANTED)).drift == ()
    with pytest.raises(OperatorError, match="partitions is 2, should be 3"):
        topics.refuse_harmful(drift, where="here")


async def test_other_retention_is_drift_that_services_live_with(log: EventLog) -> None:
    await applied(log)
    drift = (await applied(log, replace(WANTED, audit_days=3))).drift
    assert {each.setting for each in drift} == {"retention.ms"}
    topics.refuse_harmful(drift, where="here")


async def test_a_log_without_topics_has_no_identity(log: EventLog) -> None:
    assert await read_identity(log) is None
    shown = await topics.show(log, WANTED)
    assert not shown.as_it_should_be
    assert set(shown.missing) == {topic.name for topic in TOPICS}


async def test_what_is_there_is_shown_with_its_size(log: EventLog) -> None:
    await applied(log)
    shown = await topics.show(log, WANTED)
    assert shown.as_it_should_be
    assert {each.name: each.records for each in shown.topics}[LATEST] == 1


async def test_topics_without_an_identity_are_found_to_have_none(log: EventLog) -> None:
    await log.create(topics.specs(partitions=2, audit_days=2))
    async with log.own(0) as owner:
        await owner.commit({LATEST: [Entry(b"price:.stx", b"1")]})
    assert await read_identity(log) is None


async def test_an_identity_of_another_make_is_refused(log: EventLog) -> None:
    await log.create(topics.specs(partitions=2, audit_days=2))
    async with log.own(0) as owner:
        await owner.commit({LATEST: [Entry(IDENTITY_KEY, b'{"schema":"x/9"}')]})
    with pytest.raises(OperatorError, match="cannot be read"):
        await read_identity(log)


async def test_a_second_identity_that_differs_is_refused_by_every_service(
    log: EventLog,
) -> None:
    identity = (await applied(log)).identity
    async with log.own(0) as owner:
        await owner.commit({LATEST: [Entry(b"price:.stx", b"1")] * 5_001})
        await owner.commit({LATEST: [Entry(IDENTITY_KEY, encode(identity))]})
    # The same once more is no other.
    assert await read_only_identity(log) == identity
    other = identity.model_copy(update={"world": World.LIVE})
    async with log.own(0) as owner:
        await owner.commit({LATEST: [Entry(IDENTITY_KEY, encode(other))]})
    with pytest.raises(OperatorError, match="two identities that differ") as refused:
        await read_only_identity(log)
    assert "simulated" in f"{refused.value}"
    assert "live" in f"{refused.value}"
    with pytest.raises(OperatorError, match="two identities that differ"):
        await topics.show(log, WANTED)
    # It is found by its first record, as ever, where nothing depends on it.
    assert await read_identity(log) == identity


async def test_a_service_does_not_start_on_a_log_of_two_identities(
    tmp_path: Path,
) -> None:
    path = tmp_path / "log.sqlite"
    overrides = {"log": f"{path}", "partitions": 1}
    clock = SystemClock()
    identity = (await apply_topics(read(overrides), clock=clock)).identity
    other = identity.model_copy(update={"created_at": 5})
    async with (
        open_sqlite(SqliteConfig(path=path, now_ms=now_ms)) as log,
        log.own(0) as owner,
    ):
        await owner.commit({LATEST: [Entry(IDENTITY_KEY, encode(other))]})
    with pytest.raises(OperatorError, match="two identities that differ"):
        async with open_checked(read(overrides), clock=clock):
            pass


@pytest.mark.parametrize(
    ("network", "world", "said"),
    [
        (Network.TESTNET, World.SIMULATED, "STACKS_FEED_NETWORK"),
        (Network.MAINNET, World.LIVE, "leave out --live"),
    ],
)
async def test_a_log_of_another_network_or_world_is_refused(
    log: EventLog, network: Network, world: World, said: str
) -> None:
    identity = (await applied(log)).identity
    with pytest.raises(OperatorError, match=said):
        topics.check_identity(identity, network=network, world=world, where="here")


async def test_a_live_log_is_not_for_a_simulation(log: EventLog) -> None:
    identity = (await applied(log, replace(WANTED, world=World.LIVE))).identity
    with pytest.raises(OperatorError, match="start it with --live"):
        topics.check_identity(
            identity, network=Network.MAINNET, world=World.SIMULATED, where="here"
        )
    topics.check_identity(
        identity, network=Network.MAINNET, world=World.LIVE, where="here"
    )
