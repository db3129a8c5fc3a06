# mypy: allow-untyped-calls
"""The programs of docs/examples, which read the topics with Kafka clients of others."""

import asyncio
import json
import os
import shutil
import sqlite3
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer

from app.topics import apply
from eventlog.partition import partition_of
from eventlog.port import Entry, EventLog, Partition
from schemas.latest import price_key
from schemas.topics import CHANGES, LATEST, partition_key
from tests.support.audited import observations
from tests.support.broker_choice import has_maven
from tests.support.folded import WANTED, fold
from tests.support.folding import ALPHA
from tests.support.history_noise import Raw
from tests.support.kafka_from_maven import artifacts
from tests.support.logs import PARTITIONS, Place, now_ms, open_at, read_all
from tests.support.processes import happens
from tests.support.shared_data import ROOT

pytestmark = [pytest.mark.broker, pytest.mark.slow, pytest.mark.timeout(300)]

EXAMPLES = ROOT / "docs" / "examples"
LONG_S = 100.0
VALUES = (b"price:", b"token:", b"balance:")
ABORTED = b'{"schema":"price/1","usd":"666"}'

Table = dict[str, str]


@pytest.fixture
def place(broker: str) -> Place:
    return Place("kafka", broker, prefix=f"t{uuid4().hex[:12]}.")


@asynccontextmanager
async def a_log(place: Place, identity: str = "0") -> AsyncIterator[EventLog]:
    async with open_at(place) as log:
        await apply(log, WANTED, new_id=identity * 32, now_ms=now_ms)
        yield log


@asynccontextmanager
async def transaction(
    place: Place, key: bytes, value: bytes, *, commit: int
) -> AsyncIterator[AIOKafkaProducer]:
    """Write a value of a key to both topics in a transaction that the test ends."""
    producer = AIOKafkaProducer(
        bootstrap_servers=place.address, transactional_id=place.prefix + "tests"
    )
    await producer.start()
    try:
        await producer.begin_transaction()
        at = partition_of(partition_key(key), PARTITIONS)
        for topic in (LATEST, CHANGES):
            await producer.send_and_wait(
                place.prefix + topic,
                value,
                key=key,
                partition=at,
                headers=[("commit", b"%d" % commit)],
            )
        yield producer
    finally:
        await producer.stop()


async def abort(place: Place, key: bytes) -> None:
    """Write a value in a transaction that never happened."""
    async with transaction(place, key, ABORTED, commit=1_000) as producer:
        await producer.abort_transaction()


def every(topic: str) -> list[Partition]:
    return [Partition(topic, number) for number in range(PARTITIONS)]


async def own_table(log: EventLog) -> Table:
    """Return the table as our own reader has it."""
    table: Table = {}
    for records in (await read_all(log, every(LATEST))).values():
        for record in records:
            key = record.key or b""
            if record.value is None:
                table.pop(key.decode(), None)
            elif key.startswith(VALUES):
                table[key.decode()] = record.value.decode()
    return table


async def changes(log: EventLog) -> list[tuple[int, int, str, str | None]]:
    return [
        (
            at.number,
            record.offset,
            (record.key or b"").decode(),
            None if record.value is None else record.value.decode(),
        )
        for at, records in (await read_all(log, every(CHANGES))).items()
        for record in records
    ]


def history() -> Sequence[Raw]:
    """Return observations of which some are withdrawn again."""
    return list(observations())


def halves(entries: Sequence[Raw]) -> tuple[Sequence[Raw], Sequence[Raw]]:
    middle = len(entries) // 2
    return entries[:middle], entries[middle:]


async def run(*command: str, cwd: Path) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *command, cwd=cwd, stdout=PIPE, stderr=PIPE
    )
    try:
        async with asyncio.timeout(LONG_S):
            out, error = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return process.returncode, out.decode(), error.decode()


async def runs(*command: str, cwd: Path) -> str:
    code, out, error = await run(*command, cwd=cwd)
    assert code == 0, error
    return out


# ---- Java: the table, or one key of it


async def java(folder: Path) -> tuple[str, ...]:
    """Return the command up to its arguments; skip the test where it cannot run."""
    program = shutil.which("java")
    if program is None or not has_maven():
        pytest.skip("needs Java and Maven: apt install openjdk-17-jdk-headless maven")
    modules = await runs(program, "--list-modules", cwd=folder)
    if "jdk.compiler" not in modules:
        pytest.skip("needs a JDK, not only a JRE: apt install openjdk-17-jdk-headless")
    # The broker's own jars hold the client; they are downloaded once.
    jars = await asyncio.to_thread(artifacts)
    source = f"{EXAMPLES / 'TableFromLatest.java'}"
    return program, "-XX:TieredStopAtLevel=1", "-cp", f"{jars}{os.sep}*", source


def parsed(lines: str) -> Table:
    return dict(line.split("\t") for line in lines.splitlines())


async def test_a_java_client_builds_the_table_and_finds_each_key_in_its_partition(
    place: Place, tmp_path: Path
) -> None:
    command = await java(tmp_path)
    async with a_log(place) as log:
        await fold(log, history(), inputs=5)
        await abort(place, price_key(ALPHA))
        table = await own_table(log)
    where = (place.address, place.prefix)
    assert parsed(await runs(*command, *where, cwd=tmp_path)) == table
    kinds = {key.partition(":")[0]: key for key in table}
    assert kinds.keys() == {"price", "token", "balance"}
    for key in kinds.values():
        found = await runs(*command, *where, key, cwd=tmp_path)
        assert parsed(found) == {key: table[key]}


# ---- librdkafka: every change, in a database that is always where it says


def follow_command() -> tuple[str, ...]:
    if find_spec("confluent_kafka") is None:
        pytest.skip("needs confluent-kafka, which `make .venv/ready` installs")
    return sys.executable, f"{EXAMPLES / 'follow_changes.py'}"


async def follow(place: Place, folder: Path, *options: str) -> None:
    await runs(*following(place), *options, cwd=folder)


def following(place: Place) -> tuple[str, ...]:
    where = (place.address, "--prefix", place.prefix)
    return (*follow_command(), *where, "--until-end")


def rows(folder: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(folder / "feed.sqlite")) as db:
        return db.execute(query).fetchall()


def newest(folder: Path) -> Table:
    return dict(rows(folder, "SELECT key, value FROM newest WHERE value IS NOT NULL"))


async def test_a_librdkafka_client_keeps_the_table_and_each_change_over_restarts(
    place: Place, tmp_path: Path
) -> None:
    follow_command()
    before, after = halves(history())
    async with a_log(place) as log:
        await fold(log, before, inputs=5)
        await abort(place, price_key(ALPHA))
        await follow(place, tmp_path)
        assert newest(tmp_path) == await own_table(log)
        assert rows(tmp_path, "SELECT * FROM changes") == []
        old = len(await changes(log))
        for entries in halves(after):
            await fold(log, entries, inputs=5)
            await abort(place, price_key(ALPHA))
            await follow(place, tmp_path)
            await follow(place, tmp_path)
            assert newest(tmp_path) == await own_table(log)
        every_change = await changes(log)
        seen = rows(tmp_path, "SELECT * FROM changes ORDER BY part, offset")
        assert len(seen) == len(every_change) - old > 0
        assert set(seen) <= set(every_change)
        withdrawn = rows(tmp_path, "SELECT key FROM newest WHERE value IS NULL")
        assert withdrawn, "the history withdraws nothing any more"


async def test_a_transaction_under_way_while_a_file_is_begun_is_not_missed(
    place: Place, tmp_path: Path
) -> None:
    follow_command()
    key, value = price_key(ALPHA), b'{"schema":"price/1","usd":"7"}'
    async with a_log(place) as log:
        await fold(log, history(), inputs=5)
        async with transaction(place, key, value, commit=1_000) as producer:
            await follow(place, tmp_path)
            assert newest(tmp_path) == await own_table(log)
            await producer.commit_transaction()
        await follow(place, tmp_path)
        assert newest(tmp_path) == await own_table(log)
    assert newest(tmp_path)[key.decode()] == value.decode()


async def test_a_key_that_a_rebuild_has_withdrawn_and_that_came_back_is_in_a_new_file(
    place: Place, tmp_path: Path
) -> None:
    follow_command()
    keys = [b"price:SP3NE50GEXFG9SZGTT51P40X2CKYSZ5CC4ZTZ7A2G.t%d" % n for n in (1, 2)]
    async with a_log(place) as log:
        for number, key in enumerate(keys):
            at = partition_of(partition_key(key), PARTITIONS)
            headers = (("commit", b"9"),)
            value = Entry(key, b'{"version":1}', headers)
            # A rebuild withdraws what the table should not hold, in no commit.
            back = [(at, Entry(key, b'{"version":2}', headers))] * number
            await log.append(LATEST, [(at, value), (at, Entry(key, None)), *back])
        await follow(place, tmp_path)
        assert newest(tmp_path) == await own_table(log)
    assert newest(tmp_path) == {keys[1].decode(): '{"version":2}'}


async def test_a_librdkafka_client_that_is_killed_goes_on_with_what_comes_next(
    place: Place, tmp_path: Path
) -> None:
    *command, _ = following(place)
    before, after = halves(history())
    async with a_log(place) as log:
        async with killed_at_the_end(*command, "--history", cwd=tmp_path):
            await fold(log, before, inputs=5)
            await a_change_in(tmp_path)
        await fold(log, after, inputs=5)
        await follow(place, tmp_path)
        assert newest(tmp_path) == await own_table(log)
        seen = rows(tmp_path, "SELECT * FROM changes ORDER BY part, offset")
        assert seen == sorted(await changes(log))


@asynccontextmanager
async def killed_at_the_end(*command: str, cwd: Path) -> AsyncIterator[None]:
    process = await asyncio.create_subprocess_exec(*command, cwd=cwd)
    try:
        yield
    finally:
        process.kill()
        await process.wait()


async def a_change_in(folder: Path) -> None:
    """Wait until another process has put a change into its file."""

    async def is_there() -> bool:
        return changes_seen(folder) > 0

    await happens(is_there, LONG_S, "a change is in the file")


def changes_seen(folder: Path) -> int:
    """Return how many changes a file has, of which the other process may be the maker."""
    try:
        return int(rows(folder, "SELECT count(*) FROM changes")[0][0])
    except sqlite3.OperationalError:  # no table yet, or it is being written
        return 0


async def test_a_librdkafka_client_reads_the_whole_history(
    place: Place, tmp_path: Path
) -> None:
    follow_command()
    async with a_log(place) as log:
        await fold(log, history(), inputs=5)
        await follow(place, tmp_path, "--history")
        assert newest(tmp_path) == await own_table(log)
        seen = rows(tmp_path, "SELECT * FROM changes ORDER BY part, offset")
        assert seen == sorted(await changes(log))


async def test_records_of_aborted_transactions_are_there_for_who_reads_uncommitted(
    place: Place, tmp_path: Path
) -> None:
    """Else the tests above would not show that the programs leave them out."""
    kafka: Any = pytest.importorskip("confluent_kafka")
    async with a_log(place) as log:
        await fold(log, history()[:5])
        await abort(place, price_key(ALPHA))
    committed = await asyncio.to_thread(_values, kafka, place, {})
    settings = {"isolation.level": "read_uncommitted"}
    uncommitted = await asyncio.to_thread(_values, kafka, place, settings)
    assert ABORTED not in committed
    assert ABORTED in uncommitted


def _values(kafka: Any, place: Place, settings: Mapping[str, str]) -> set[Any]:
    """Return all values of `latest` as a client with these settings reads them."""
    options = {"bootstrap.servers": place.address, "group.id": "any"}
    consumer = kafka.Consumer({**options, **settings, "enable.partition.eof": True})
    topic = place.prefix + LATEST
    consumer.assign([kafka.TopicPartition(topic, n, 0) for n in range(PARTITIONS)])
    values, left = set(), PARTITIONS
    while left:
        message = consumer.poll(LONG_S)
        if message.error() is None:
            values.add(message.value())
        else:
            assert message.error().code() == kafka.KafkaError._PARTITION_EOF
            left -= 1
    consumer.close()
    return values


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            "UPDATE positions SET digest = 'other'",
            "the log is not the one that was read",
        ),
        ("UPDATE positions SET last = last + 1000", "delete the file to begin again"),
        ("UPDATE feed SET identity = 'other'", "the file is of another log"),
    ],
    ids=["another record", "past the end", "another log"],
)
async def test_a_librdkafka_client_does_not_go_on_in_another_log(
    place: Place, tmp_path: Path, change: str, said: str
) -> None:
    follow_command()
    async with a_log(place) as log:
        await fold(log, history()[:40], inputs=5)
    await follow(place, tmp_path, "--history")
    with closing(sqlite3.connect(tmp_path / "feed.sqlite")) as db, db:
        db.execute(change)
    before = rows(tmp_path, "SELECT * FROM positions")
    code, _, error = await run(*following(place), cwd=tmp_path)
    assert code == 1
    assert said in error
    assert rows(tmp_path, "SELECT * FROM positions") == before


# ---- what the page says, beside the programs


async def test_values_have_the_headers_that_the_page_names_and_commits_only_grow(
    place: Place,
) -> None:
    async with a_log(place) as log:
        await fold(log, history(), inputs=5)
        read = await read_all(log, [*every(LATEST), *every(CHANGES)])
    for records in read.values():
        values = [r for r in records if (r.key or b"").startswith(VALUES)]
        assert all([name for name, _ in r.headers] == ["commit"] for r in values)
        commits = [int(r.headers[0][1]) for r in values]
        assert all(one <= two for one, two in pairwise(commits))
        others = [r for r in records if r not in values]
        for record in others:
            kind = (record.key or b"").partition(b":")[0]
            names = [name for name, _ in record.headers]
            assert names == (["term"] if kind == b"watermark" else [])
    said = [json.loads(r.value) for rs in read.values() for r in rs if r.value]
    assert {value["schema"].partition("/")[0] for value in said} >= {
        "price",
        "token",
        "balance",
        "watermark",
        "observed",
        "terms",
        "log.identity",
    }
