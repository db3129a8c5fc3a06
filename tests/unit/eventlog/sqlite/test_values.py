"""Columns in which somebody else has written what this program never does."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path

import pytest

from eventlog.port import Cleanup, Entry, EventLog, LogCorrupt, Partition, TopicSpec
from eventlog.sqlite import SqliteConfig, open_sqlite
from eventlog.sqlite.cleaner import clean
from tests.support.logs import now_ms, read_one
from tests.support.sqlite_logs import HOUR_MS, insides_of

RAW = TopicSpec("raw", 1, Cleanup(compact=False, retention_ms=HOUR_MS))
TABLE = TopicSpec("table", 1, Cleanup(compact=True, retention_ms=None))
PART = Partition("raw", 0)
NO_COUNTS = ["-5", "0.5", "'abc'", "x'31'", "9007199254740992", "CAST(x'ff' AS TEXT)"]

Ask = Callable[[EventLog], Awaitable[object]]


def edit(path: Path, sql: str) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(sql)


def set_all(table: str, column: str, value: str) -> str:
    return f"UPDATE {table} SET {column} = {value}"  # noqa: S608 - our own words


async def refusal(path: Path, *edits: str, ask: Ask) -> str:
    """Return how a log of two records is refused after it was edited."""
    config = SqliteConfig(path / "log", now_ms=now_ms)
    async with open_sqlite(config) as log:
        await log.create([RAW])
        await log.append("raw", [(0, Entry(b"key", b"one")), (0, Entry(None, b""))])
    for sql in edits:
        edit(config.path, sql)
    async with open_sqlite(config) as log:
        with pytest.raises(LogCorrupt) as refused:
            await ask(log)
    return str(refused.value)


async def read(log: EventLog) -> object:
    return await read_one(log, PART)


async def ends(log: EventLog) -> object:
    return await log.ends([PART])


async def append(log: EventLog) -> object:
    return await log.append("raw", [(0, Entry(None, b""))])


async def positions_at(log: EventLog) -> object:
    return await log.positions_at([PART], time_ms=5)


async def ages(log: EventLog) -> object:
    return await log.ages({PART: 0}, now_ms=5)


@pytest.mark.parametrize("value", NO_COUNTS)
@pytest.mark.parametrize("ask", [read, positions_at, ages])
async def test_an_append_time_that_is_no_count_makes_the_log_unusable(
    tmp_path: Path, ask: Ask, value: str
) -> None:
    said = await refusal(tmp_path, set_all("records", "time", value), ask=ask)
    assert "cannot be used: " in said
    assert len(said.splitlines()) == 1
    if "ff" not in value:
        assert "the append time of a record cannot be read" in said


async def test_one_append_time_among_right_ones_is_found(tmp_path: Path) -> None:
    sql = "UPDATE records SET time = 'abc' WHERE id IN (SELECT max(id) FROM records)"
    for number, ask in enumerate((read, ages)):
        (tmp_path / f"{number}").mkdir()
        assert "append time" in await refusal(tmp_path / f"{number}", sql, ask=ask)


@pytest.mark.parametrize("value", NO_COUNTS[:3])
async def test_a_log_time_that_is_no_count_makes_the_log_unusable(
    tmp_path: Path, value: str
) -> None:
    sql = set_all("records", "log_time", value)
    assert "append time" in await refusal(tmp_path, sql, ask=positions_at)


@pytest.mark.parametrize("value", NO_COUNTS[:3])
@pytest.mark.parametrize(
    ("column", "ask"),
    [("next", read), ("next", ends), ("oldest", read), ("next", append)],
)
async def test_bounds_that_are_no_counts_make_the_log_unusable(
    tmp_path: Path, column: str, ask: Ask, value: str
) -> None:
    sql = set_all("partitions", column, value)
    said = await refusal(tmp_path, sql, ask=ask)
    assert "where a partition begins or ends cannot be read" in said


async def test_the_log_time_of_a_partition_that_is_no_count_stops_appends(
    tmp_path: Path,
) -> None:
    sql = "UPDATE partitions SET log_time = 'abc'"
    assert "begins or ends" in await refusal(tmp_path, sql, ask=append)


@pytest.mark.parametrize("value", ["5", "'abc'", "0.5", "x'00'"])
async def test_headers_of_another_kind_make_the_log_unusable(
    tmp_path: Path, value: str
) -> None:
    sql = set_all("records", "headers", value)
    assert "the headers of a record cannot be read" in await refusal(
        tmp_path, sql, ask=read
    )


async def test_ages_that_are_no_numbers_make_the_log_unusable(tmp_path: Path) -> None:
    said = await refusal(
        tmp_path,
        "INSERT INTO age_clocks SELECT id, 5, 'x' FROM partitions",
        "INSERT INTO age_jumps SELECT id, 0, 0 FROM partitions",
        ask=ages,
    )
    assert "how old the records of a partition are cannot be read" in said


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE records SET time = 'abc'",
        "UPDATE partitions SET kept = 'abc'",
        "UPDATE partitions SET oldest = -1",
    ],
)
@pytest.mark.parametrize("spec", [RAW, TABLE], ids=["delete", "compact"])
async def test_cleaning_stops_at_what_it_cannot_read(
    tmp_path: Path, spec: TopicSpec, sql: str
) -> None:
    log = insides_of(tmp_path / "log", spec, dirty_min=1)
    log.write(Entry(b"key", b""), Entry(b"key", b""))
    with log.session.writing() as db:
        db.execute(sql)
    with pytest.raises(LogCorrupt):
        for _ in clean(log.session, lambda _: None):
            pass
    log.session.close()


async def test_keys_and_values_that_are_text_are_read_as_bytes(tmp_path: Path) -> None:
    config = SqliteConfig(tmp_path / "log", now_ms=now_ms)
    async with open_sqlite(config) as log:
        await log.create([RAW])
        await append(log)
    edit(config.path, "UPDATE records SET key = 'k', value = 5")
    async with open_sqlite(config) as log:
        async with asyncio.timeout(30):
            (record,) = await read_one(log, PART)
    assert (record.key, record.value) == (b"k", b"5")
