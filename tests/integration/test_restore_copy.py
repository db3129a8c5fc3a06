"""`stacks-feed restore`: a copy is checked and put in place, or nothing is changed."""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from app.topics import apply, read_identity
from eventlog.port import Entry, Partition
from schemas.topics import LATEST
from tests.support.folded import WANTED
from tests.support.logs import Place, now_ms, open_at, read_one
from tests.support.pipeline import SHARDS
from tests.support.processes import run

pytestmark = pytest.mark.slow
ID, OTHER_ID = "a" * 32, "b" * 32


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.sqlite"


async def a_log(path: Path, *, log_id: str = ID, values: int = 1) -> None:
    async with open_at(Place("sqlite", str(path))) as log:
        await apply(log, WANTED, new_id=log_id, now_ms=now_ms)
        for number in range(values):
            await log.append(LATEST, [(1, Entry(b"price:x", b"%d" % number))])


async def values(path: Path) -> int:
    async with open_at(Place("sqlite", str(path))) as log:
        assert await read_identity(log) is not None
        return len(await read_one(log, Partition(LATEST, SHARDS[1])))


async def test_a_copy_is_put_in_place_and_the_replaced_log_is_kept(path: Path) -> None:
    copy = path.with_name("copy.sqlite")
    await a_log(copy, values=2)
    await a_log(path, values=5)
    index = path.with_name("log.sqlite.index")
    index.touch()
    ended = await run("restore", str(copy), cwd=path.parent, log=path)
    assert (ended.code, ended.err) == (0, ""), ended
    assert await values(path) == 2
    (kept,) = path.parent.glob("log.sqlite.replaced-*Z")
    assert f"{kept}" in ended.out
    assert await values(kept) == 5
    assert not index.exists()
    assert copy.exists()
    assert not list(path.parent.glob(".log.sqlite-*"))


async def test_a_log_behind_a_link_is_replaced_and_not_the_link(path: Path) -> None:
    folder = path.with_name("disk")
    folder.mkdir()
    real, copy = folder / "real.sqlite", path.with_name("copy.sqlite")
    await a_log(copy, values=2)
    await asyncio.to_thread(path.symlink_to, real)
    for kept in (0, 1):
        # At first the link leads nowhere, and then to a log.
        ended = await run("restore", str(copy), cwd=path.parent, log=path)
        assert (ended.code, ended.err) == (0, ""), ended
        links = await asyncio.to_thread(lambda: (path.is_symlink(), real.is_symlink()))
        assert links == (True, False)
        assert await values(real) == 2
        assert len(list(folder.glob("real.sqlite.replaced-*Z"))) == kept
        assert "`stacks-feed audit verify`" in ended.out
    async with open_at(Place("sqlite", str(path))):
        ended = await run("restore", str(copy), cwd=path.parent, log=path)
    assert (ended.code, "stop all of them" in ended.err) == (1, True), ended


async def test_nothing_is_left_beside_a_copy(path: Path) -> None:
    folder = path.with_name("copies")
    folder.mkdir()
    copy = folder / "copy.sqlite"
    await a_log(copy)
    names, before = {each.name for each in folder.iterdir()}, copy.read_bytes()
    assert names.isdisjoint({"copy.sqlite-wal", "copy.sqlite-shm"})
    assert (await run("restore", str(copy), cwd=path.parent, log=path)).code == 0
    assert {each.name for each in folder.iterdir()} == names
    assert copy.read_bytes() == before


async def test_a_copy_is_put_where_no_log_is(path: Path) -> None:
    copy = path.with_name("copy.sqlite")
    await a_log(copy)
    ended = await run("restore", str(copy), cwd=path.parent, log=path)
    assert (ended.code, "kept" in ended.out) == (0, False), ended
    assert await values(path) == 1


async def test_a_damaged_log_is_replaced(path: Path) -> None:
    copy = path.with_name("copy.sqlite")
    await a_log(copy)
    no_database(path)
    assert (await run("restore", str(copy), cwd=path.parent, log=path)).code == 0
    assert await values(path) == 1


async def test_what_stands_beside_a_copy_in_use_is_restored_too(path: Path) -> None:
    copy = path.with_name("copy.sqlite")
    await a_log(copy)
    async with open_at(Place("sqlite", str(copy))) as log:
        await log.append(LATEST, [(1, Entry(b"price:x", b"in the wal"))])
        assert (await run("restore", str(copy), cwd=path.parent, log=path)).code == 0
    assert await values(path) == 2


async def test_a_log_in_use_is_not_replaced(path: Path) -> None:
    copy = path.with_name("copy.sqlite")
    await a_log(copy)
    await a_log(path, values=3)
    async with open_at(Place("sqlite", str(path))):
        ended = await run("restore", str(copy), cwd=path.parent, log=path)
    assert (ended.code, "stop all of them" in ended.err) == (1, True), ended
    assert await values(path) == 3


def no_database(copy: Path) -> None:
    copy.write_bytes(b"not a database" * 1_000)


def of_something_else(copy: Path) -> None:
    copy.unlink()
    with closing(sqlite3.connect(copy)) as db, db:
        db.execute("CREATE TABLE theirs (x)")


def of_a_newer_version(copy: Path) -> None:
    with closing(sqlite3.connect(copy)) as db, db:
        db.execute("PRAGMA user_version = 99")


def damaged(copy: Path) -> None:
    with closing(sqlite3.connect(copy)) as db:
        db.execute("PRAGMA journal_mode = DELETE")
    held = bytearray(copy.read_bytes())
    held[4096:12_288] = b"\xff" * 8_192
    copy.write_bytes(held)


def absent(copy: Path) -> None:
    copy.unlink()


@pytest.mark.parametrize(
    "spoil", [no_database, of_something_else, of_a_newer_version, damaged, absent]
)
async def test_a_copy_that_is_no_good_changes_nothing(
    path: Path, spoil: Callable[[Path], None]
) -> None:
    copy = path.with_name("copy.sqlite")
    await a_log(copy)
    await a_log(path, values=3)
    spoil(copy)
    ended = await run("restore", str(copy), cwd=path.parent, log=path)
    assert ended.code == 1, ended
    assert ended.err.count("\n") == 1, ended
    assert await values(path) == 3
    assert not list(path.parent.glob("*replaced*"))


async def test_a_copy_of_another_log_or_world_changes_nothing(path: Path) -> None:
    copy = path.with_name("copy.sqlite")
    await a_log(copy, log_id=OTHER_ID)
    await a_log(path, values=3)
    ended = await run("restore", str(copy), cwd=path.parent, log=path)
    assert (ended.code, f"the copy is of log {OTHER_ID}" in ended.err) == (1, True)
    ended = await run("restore", str(copy), "--live", cwd=path.parent, log=path)
    assert (ended.code, "simulated world" in ended.err) == (1, True), ended
    assert await values(path) == 3


async def test_a_log_on_a_broker_is_not_restored_by_us(path: Path) -> None:
    settings = {"log": "kafka://127.0.0.1:1", "environment": "development"}
    ended = await run("restore", "copy", cwd=path.parent, **settings)
    assert (ended.code, "its own tools" in ended.err) == (1, True), ended
