"""A file that is missing, broken, busy, full, newer or not ours: what is said."""

import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from eventlog.port import (
    Cleanup,
    Entry,
    EventLog,
    LogCorrupt,
    LogFull,
    LogUnavailable,
    Partition,
    TopicSpec,
)
from eventlog.sqlite import SqliteConfig, open_sqlite
from eventlog.sqlite.schema import APPLICATION_ID, VERSION
from eventlog.sqlite.session import Session
from tests.support.logs import append, now_ms, read_one, texts
from tests.support.sqlite_logs import HandClock, config_of

RAW = TopicSpec("raw", 1, Cleanup(compact=False, retention_ms=None))
PART = Partition("raw", 0)


@pytest.fixture
def config(tmp_path: Path) -> SqliteConfig:
    return SqliteConfig(tmp_path / "log", now_ms=now_ms, busy_s=0.01)


def run(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for statement in statements:
            db.execute(statement)


def not_a_database(path: Path) -> None:
    path.write_bytes(b"not a database" * 1_000)


def of_something_else(path: Path) -> None:
    run(path, "CREATE TABLE theirs (x)")


def of_a_newer_version(path: Path) -> None:
    run(
        path,
        f"PRAGMA application_id = {APPLICATION_ID}",
        f"PRAGMA user_version = {VERSION + 1}",
    )


def without_its_tables(path: Path) -> None:
    run(
        path,
        f"PRAGMA application_id = {APPLICATION_ID}",
        f"PRAGMA user_version = {VERSION}",
    )


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (not_a_database, "not a database"),
        (of_something_else, "something else"),
        (of_a_newer_version, f"version {VERSION + 1}.* up to {VERSION}"),
        (without_its_tables, "no such table"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
async def test_a_file_that_is_no_log_is_refused_and_left_alone(
    config: SqliteConfig, spoil: Callable[[Path], None], said: str
) -> None:
    spoil(config.path)
    before = config.path.read_bytes()
    with pytest.raises(LogCorrupt, match=said):
        async with open_sqlite(config) as log:
            await log.describe([RAW])
    assert len(config.path.read_bytes()) == len(before)


async def test_a_file_that_cannot_be_is_unavailable(tmp_path: Path) -> None:
    config = SqliteConfig(tmp_path / "nowhere" / "log", now_ms=now_ms)
    with pytest.raises(LogUnavailable, match="unable to open"):
        async with open_sqlite(config):
            pytest.fail("opened")


async def test_a_page_of_rubbish_is_noticed_when_it_is_read(
    config: SqliteConfig,
) -> None:
    async with open_sqlite(config) as log:
        await log.create([RAW])
        await append(log, PART, *["x" * 500] * 200)
    content = bytearray(config.path.read_bytes())
    content[len(content) // 2 :] = b"\xff" * (len(content) - len(content) // 2)
    config.path.write_bytes(content)
    async with open_sqlite(config) as log:
        with pytest.raises(LogCorrupt):
            await read_one(log, PART)


@pytest.fixture
def locked(config: SqliteConfig) -> Iterator[sqlite3.Connection]:
    """Another process's write that does not end."""
    Session(config).close()
    with closing(sqlite3.connect(config.path, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        yield db


async def test_a_write_that_waits_too_long_is_given_up(
    config: SqliteConfig, locked: sqlite3.Connection
) -> None:
    async with open_sqlite(config) as log:
        with pytest.raises(LogUnavailable, match="another process"):
            await log.create([RAW])
        locked.execute("COMMIT")
        assert await log.create([RAW]) == (RAW.name,)


async def test_readers_do_not_wait_for_writers(config: SqliteConfig) -> None:
    async with open_sqlite(config) as log:
        await log.create([RAW])
        await append(log, PART, "a")
        with closing(sqlite3.connect(config.path, isolation_level=None)) as db:
            db.execute("BEGIN IMMEDIATE")
            assert texts(await read_one(log, PART)) == ["a"]


def test_the_writers_of_a_process_take_turns(config: SqliteConfig) -> None:
    with closing(Session(config)) as one, closing(Session(config)) as two:
        with (
            one.writing(),
            pytest.raises(LogUnavailable, match="this process"),
            two.writing(),
        ):
            pytest.fail("wrote")
        with two.writing():
            pass


async def fill(log: EventLog) -> None:
    for _ in range(100):
        await log.append(RAW.name, [(0, Entry(b"key", b"x" * 10_000))])


async def test_a_full_disk_says_so_and_reading_goes_on(tmp_path: Path) -> None:
    config = config_of(tmp_path / "log", HandClock(), max_size_bytes=200_000)
    async with open_sqlite(config) as log, log.own(0) as writer:
        await log.create([RAW])
        with pytest.raises(LogFull, match="no space"):
            await fill(log)
        kept = await read_one(log, PART)
        assert kept
        with pytest.raises(LogFull):
            await writer.commit({RAW.name: [Entry(b"key", b"x" * 500_000)]})
        assert await read_one(log, PART) == kept


def remove(path: Path) -> None:
    path.unlink()


def replace(path: Path) -> None:
    path.rename(path.with_name("moved"))
    path.touch()


@pytest.mark.parametrize("spoil", [remove, replace])
async def test_a_file_that_goes_while_it_is_open_is_noticed(
    config: SqliteConfig, spoil: Callable[[Path], None]
) -> None:
    async with open_sqlite(config) as log:
        await log.create([RAW])
        spoil(config.path)
        with pytest.raises(LogCorrupt, match="the log file is gone"):
            await log.ends([PART])
        with pytest.raises(LogCorrupt, match="the log file is gone"):
            await append(log, PART, "lost")


@pytest.mark.parametrize("spoil", [remove, replace])
@pytest.mark.parametrize("ending", ["-wal", "-shm"])
async def test_a_file_beside_it_that_goes_while_it_is_open_is_noticed(
    config: SqliteConfig, spoil: Callable[[Path], None], ending: str
) -> None:
    async with open_sqlite(config) as log:
        await log.create([RAW])
        spoil(Path(f"{config.path}{ending}"))
        with pytest.raises(LogCorrupt, match="-wal, or -shm, was removed or replaced"):
            await log.ends([PART])
        with pytest.raises(LogCorrupt, match="-wal, or -shm, was removed or replaced"):
            await append(log, PART, "lost")
        # A connection that comes later would make new ones, and miss what is in the old.
        with pytest.raises(LogCorrupt, match="-wal, or -shm, was removed or replaced"):
            await read_one(log, PART)
    # Nobody of this process has the old ones any more.
    async with open_sqlite(config) as log:
        await log.ends([PART])


async def test_others_that_come_and_go_change_no_file(config: SqliteConfig) -> None:
    async with open_sqlite(config) as log:
        await log.create([RAW])
        for number in range(3):
            async with open_sqlite(config) as other:
                await append(other, PART, f"{number}")
            run(config.path, "PRAGMA wal_checkpoint(TRUNCATE)")
            assert len(await read_one(log, PART)) == number + 1


def test_many_can_make_the_file_at_once(tmp_path: Path) -> None:
    config = SqliteConfig(tmp_path / "log", now_ms=now_ms)
    with ThreadPoolExecutor(8) as threads:
        made = [threads.submit(lambda: Session(config).close()) for _ in range(24)]
        for one in made:
            one.result()


async def test_full_sync_is_a_setting(tmp_path: Path) -> None:
    config = SqliteConfig(tmp_path / "log", now_ms=now_ms, full_sync=True)
    with closing(Session(config)) as session, session.reading() as db:
        assert db.execute("PRAGMA synchronous").fetchone() == (2,)
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
