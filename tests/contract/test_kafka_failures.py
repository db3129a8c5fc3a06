"""What only a broker can do to a log: be stopped, killed, refuse, answer too late."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from eventlog.kafka import KafkaConfig, KafkaSecurity, open_kafka
from eventlog.port import (
    SHARDS_TOPIC,
    Cleanup,
    Entry,
    EventLog,
    Fenced,
    LogRefused,
    LogUnavailable,
    Partition,
    Reader,
    ShardWriter,
    TopicSpec,
    UnknownTopic,
    read_to,
)
from tests.support.broker_choice import least_session_ms
from tests.support.kafka_from_maven import MavenKafka

pytestmark = pytest.mark.broker

ROOT = Path(__file__).parents[2]
RAW = TopicSpec("raw", 3, Cleanup(compact=False, retention_ms=None))
TABLE = TopicSpec("table", 3, Cleanup(compact=True, retention_ms=None))
ALL = frozenset(range(3))
FIRST = (Partition("raw", 0), Partition("table", 0))


def impatient(bootstrap: str) -> KafkaConfig:
    """A log of its own, with limits that a test can wait for."""
    return KafkaConfig(
        bootstrap=bootstrap,
        prefix=f"k{uuid4().hex[:12]}.",
        open_limit_s=5.0,
        request_limit_s=2.0,
        commit_limit_s=2.0,
        silence_limit_s=0.5,
        stop_limit_s=0.5,
    )


@pytest.fixture
def config(broker: str) -> KafkaConfig:
    return KafkaConfig(bootstrap=broker, prefix=f"k{uuid4().hex[:12]}.")


@pytest.fixture
async def log(config: KafkaConfig) -> AsyncIterator[EventLog]:
    async with open_kafka(config) as opened:
        await opened.create([RAW, TABLE])
        yield opened


@contextmanager
def stopped(broker: MavenKafka) -> Iterator[None]:
    """Let the broker answer nothing for a while; its connections stay open."""
    os.kill(broker.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(broker.pid, signal.SIGCONT)


async def read_up_to(
    reader: Reader, ends: Mapping[Partition, int]
) -> list[bytes | None]:
    return [
        record.value
        async for batches in read_to(reader, ends)
        for records in batches.values()
        for record in records
    ]


async def values(log: EventLog, partition: Partition) -> list[bytes | None]:
    """Read one partition from its oldest record to its end."""
    ends = await log.ends([partition])
    async with log.reader(await log.oldest([partition])) as reader:
        return await read_up_to(reader, ends)


def entries(*texts: str) -> dict[str, list[Entry]]:
    """The same entries for both topics of a commit."""
    made = [Entry(b"parent", text.encode()) for text in texts]
    return {"raw": made, "table": made}


class Child:
    """A running child, and what it says."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def says(self, word: str) -> None:
        """Wait until the child says ``word``."""
        assert self._process.stdout is not None
        while (line := await self._process.stdout.readline()) != f"{word}\n".encode():
            assert line, f"the child ended before it said {word!r}"

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    async def ended(self) -> int:
        return await self._process.wait()


@asynccontextmanager
async def child(mode: str, config: KafkaConfig) -> AsyncIterator[Child]:
    arguments = ("-m", "tests.support.kafka_child", mode)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *arguments,
        config.bootstrap,
        config.prefix,
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield Child(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_a_writer_killed_before_its_commit_leaves_nothing(
    log: EventLog, config: KafkaConfig
) -> None:
    async with child("hang", config) as writer:
        await writer.says("sent")
        writer.signal(signal.SIGKILL)
        await writer.ended()
    async with log.own(0) as successor:
        await successor.commit(entries("whole"))
    for partition in FIRST:
        assert await values(log, partition) == [b"whole"]


async def test_a_stopped_owner_that_wakes_up_late_writes_nothing(
    log: EventLog, config: KafkaConfig
) -> None:
    async with child("write", config) as zombie:
        await zombie.says("committed 2")
        zombie.signal(signal.SIGSTOP)
        async with log.own(0) as successor:
            await successor.commit(entries("barrier"))
            before = [await values(log, p) for p in FIRST]
            zombie.signal(signal.SIGCONT)
            await zombie.says("fenced")
            assert [await values(log, p) for p in FIRST] == before
            await successor.commit(entries("after"))
    for partition in FIRST:
        assert (await values(log, partition))[-2:] == [b"barrier", b"after"]


async def everything_is_refused(log: EventLog, writer: ShardWriter) -> bool:
    """Ask a dead broker for everything; tell whether each answer was a refusal."""
    asked: dict[str, Awaitable[object]] = {
        "append": log.append("raw", [(1, Entry(None, b"lost"))]),
        "commit": writer.commit(entries("unknown")),
        "append again": log.append("raw", [(1, Entry(None, b"lost"))]),
        "ends": log.ends([FIRST[0]]),
        "create": log.create([RAW]),
        "own": AsyncExitStack().enter_async_context(log.own(0)),
    }
    refused = []
    for name, asking in asked.items():
        try:
            await asking
        except LogUnavailable:
            refused.append(name)
    return refused == list(asked)


async def test_a_handle_outlives_a_broker_that_was_killed(
    own_broker: MavenKafka,
) -> None:
    async with open_kafka(impatient(own_broker.bootstrap)) as log:
        await log.create([RAW, TABLE])
        await log.append("raw", [(0, Entry(None, b"before"))])
        async with log.reader({FIRST[0]: 0}) as reader, log.own(0) as writer:
            await writer.commit(entries("kept"))
            async with log.reader({FIRST[1]: 0}):
                own_broker.kill()
                assert await everything_is_refused(log, writer)
            await own_broker.restart()
            assert (await log.append("raw", [(2, Entry(None, b"after"))])) == (0,)
            async with log.own(0) as successor:
                await successor.commit(entries("new"))
            seen = await read_up_to(reader, await log.ends([FIRST[0]]))
    # The commit without an answer may have been taken, but not in part.
    assert [v for v in seen if v != b"unknown"] == [b"before", b"kept", b"new"]


async def test_a_reader_says_when_its_broker_is_silent(own_broker: MavenKafka) -> None:
    async with open_kafka(impatient(own_broker.bootstrap)) as log:
        await log.create([RAW])
        async with log.reader({FIRST[0]: 0}) as reader:
            with stopped(own_broker), pytest.raises(LogUnavailable, match="silent"):
                await reader.read(max_records=1, wait_s=10)
            await log.append("raw", [(0, Entry(None, b"again"))])
            records = await reader.read(max_records=1, wait_s=10)
    assert [record.value for record in records[FIRST[0]]] == [b"again"]


async def test_a_commit_answered_too_late_spends_the_writer(
    own_broker: MavenKafka,
) -> None:
    async with open_kafka(impatient(own_broker.bootstrap)) as log:
        await log.create([RAW, TABLE])
        async with log.own(0) as writer:
            await writer.commit(entries("first"))
            with stopped(own_broker), pytest.raises(LogUnavailable, match="answered"):
                await writer.commit(entries("late"))
            with pytest.raises(LogUnavailable, match="acquire it anew"):
                await writer.commit(entries("never"))
        async with log.own(0) as successor:
            await successor.commit(entries("second"))
        raw, table = [await values(log, partition) for partition in FIRST]
    assert raw == table
    assert [v for v in raw if v != b"late"] == [b"first", b"second"]


async def test_a_commit_that_is_cancelled_spends_the_writer(log: EventLog) -> None:
    async with log.own(0) as writer:
        committing = asyncio.ensure_future(writer.commit(entries("cut off")))
        asyncio.get_running_loop().call_soon(committing.cancel)
        with pytest.raises(asyncio.CancelledError):
            await committing
        with pytest.raises(LogUnavailable, match="acquire it anew"):
            await writer.commit(entries("never"))
    async with log.own(0) as successor:
        await successor.commit(entries("next"))
    raw, table = [await values(log, partition) for partition in FIRST]
    assert raw == table
    assert raw[-1] == b"next"


async def test_a_fenced_writer_stays_fenced(log: EventLog) -> None:
    async with log.own(1) as older, log.own(1) as newer:
        for _ in range(2):
            with pytest.raises(Fenced) as caught:
                await older.commit(entries("late"))
            assert caught.value.shard == 1
        await newer.commit(entries("mine"))
    assert await values(log, Partition("raw", 1)) == [b"mine"]


async def test_a_commit_to_a_topic_without_the_shard_is_refused(log: EventLog) -> None:
    async with log.own(3) as writer:
        with pytest.raises(UnknownTopic):
            await writer.commit(entries("nowhere"))


async def test_no_broker_is_said_in_one_line() -> None:
    config = impatient("127.0.0.1:1")
    with pytest.raises(LogUnavailable, match=r"127\.0\.0\.1") as caught:
        async with open_kafka(config):
            pytest.fail("a log opened without a broker")
    assert "\n" not in str(caught.value)


async def test_something_that_is_not_a_broker_is_said_too() -> None:
    server = await asyncio.start_server(lambda _, w: w.close(), "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(LogUnavailable, match="security settings"):
            async with open_kafka(impatient(f"127.0.0.1:{port}")):
                pytest.fail("a log opened without a broker")


async def test_a_topic_that_cannot_be_made_is_said(config: KafkaConfig) -> None:
    impossible = KafkaConfig(config.bootstrap, prefix=config.prefix, replication=9)
    async with open_kafka(impossible) as log:
        with pytest.raises(LogRefused, match=r"was not created: .*replication") as told:
            await log.create([RAW])
    assert told.value.setting == "replication"


async def test_properties_of_topics_can_be_left_to_the_broker(
    config: KafkaConfig,
) -> None:
    compacted = TopicSpec("table", 1, Cleanup(compact=True, retention_ms=None))
    others = {"delete.retention.ms": None, "max.message.bytes": "2097152"}
    async with open_kafka(replace(config, topic_configs=others)) as log:
        await log.create([compacted])
        (topic,) = await log.describe([compacted])
        assert topic.drift == ()
    async with open_kafka(config) as log:
        (topic,) = await log.describe([compacted])
        assert [each.setting for each in topic.drift] == ["max.message.bytes"]


async def test_a_property_that_the_broker_does_not_take_is_said(
    config: KafkaConfig,
) -> None:
    wrong = replace(config, topic_configs={"min.insync.replicas": "many"})
    async with open_kafka(wrong) as log:
        with pytest.raises(LogRefused, match="was not created") as told:
            await log.create([RAW])
    assert told.value.setting == "topic_configs"


async def test_a_session_that_the_broker_forbids_ends_the_member(
    log: EventLog, config: KafkaConfig
) -> None:
    forbidden = replace(config, session_timeout_ms=10_000_000)
    await log.create([TopicSpec(SHARDS_TOPIC, 3, RAW.cleanup)])

    async def take_part() -> None:
        async with (
            open_kafka(forbidden) as opened,
            opened.member("g", instance="a") as member,
        ):
            await member.changed()

    with pytest.raises(LogRefused) as told:
        await take_part()
    assert told.value.setting == "session_timeout_ms"


async def test_a_ca_file_that_is_not_there_is_said(config: KafkaConfig) -> None:
    security = KafkaSecurity("SSL", ca_file=Path("/nowhere/ca.pem"))
    secured = KafkaConfig(config.bootstrap, security=security)
    with pytest.raises(LogUnavailable, match="No such file"):
        async with open_kafka(secured):
            pytest.fail("a log opened without its CA file")


async def test_the_share_of_a_stopped_member_moves(
    log: EventLog, config: KafkaConfig
) -> None:
    quick = replace(config, session_timeout_ms=least_session_ms())
    await log.create([TopicSpec(SHARDS_TOPIC, 3, RAW.cleanup)])
    async with open_kafka(quick) as opened, opened.member("g", instance="a") as stays:
        async with child("join", quick) as goes:
            await goes.says("joined")
            while len(await stays.changed()) == len(ALL):
                pass
            goes.signal(signal.SIGKILL)
            await goes.ended()
            while len(await stays.changed()) < len(ALL):
                pass
        assert stays.shards() == ALL


async def test_who_joins_while_the_broker_is_away_has_a_share_when_it_is_back(
    own_broker: MavenKafka,
) -> None:
    async with open_kafka(impatient(own_broker.bootstrap)) as log:
        await log.create([TopicSpec(SHARDS_TOPIC, 3, RAW.cleanup)])
        await log.ends([Partition(SHARDS_TOPIC, 0)])
        own_broker.kill()
        async with log.member("g", instance="a") as membership:
            assert membership.shards() == frozenset()
            await own_broker.restart()
            assert await membership.changed() == ALL


async def test_what_a_member_raises_is_not_wrapped(
    log: EventLog, config: KafkaConfig
) -> None:
    await log.create([TopicSpec(SHARDS_TOPIC, 3, RAW.cleanup)])

    async def fail_inside() -> None:
        async with log.member("g", instance="a") as membership:
            assert await membership.changed() == ALL
            raise Fenced(0)

    with pytest.raises(Fenced):
        await fail_inside()
