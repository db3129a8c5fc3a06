"""`stacks-feed backup`: a whole copy of a log in use, or nothing."""

import asyncio
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from app.topics import apply
from eventlog.port import Entry
from schemas.topics import LATEST
from tests.integration.test_restore_copy import a_log, damaged, no_database, values
from tests.support.folded import WANTED
from tests.support.logs import Place, now_ms, open_at
from tests.support.processes import Ended, run

pytestmark = pytest.mark.slow
ID = "a" * 32


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.sqlite"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    (tmp_path / "copies").mkdir()
    return tmp_path / "copies" / "copy.sqlite"


def mode(copy: Path) -> int:
    return stat.S_IMODE(copy.stat().st_mode)


async def back_up(path: Path, copy: Path, *more: str) -> Ended:
    return await run("backup", str(copy), *more, cwd=path.parent, log=path)


async def test_a_log_that_is_written_to_all_the_time_is_copied_whole(
    path: Path, copy: Path
) -> None:
    done = asyncio.Event()

    async def write() -> None:
        number = 0
        while not done.is_set():
            await log.append(LATEST, [(1, Entry(b"price:x", b"%d" % number))])
            number += 1

    async with open_at(Place("sqlite", str(path))) as log:
        await apply(log, WANTED, new_id=ID, now_ms=now_ms)
        await log.append(LATEST, [(1, Entry(b"price:x", bytes(500_000)))] * 100)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(write())
            ended = await back_up(path, copy)
            done.set()
    assert (ended.code, ended.err) == (0, ""), ended
    assert f"{copy} is a copy of log {ID}" in ended.out
    assert 100 <= await values(copy) <= await values(path)
    assert list(copy.parent.glob(".*")) == []


async def test_a_copy_is_private_and_what_restore_takes(path: Path, copy: Path) -> None:
    await a_log(path, values=3)
    assert (await back_up(path, copy)).code == 0
    assert mode(copy) == 0o600
    async with open_at(Place("sqlite", str(path))) as log:
        await log.append(LATEST, [(1, Entry(b"price:x", b"later"))])
    assert (await run("restore", str(copy), cwd=path.parent, log=path)).code == 0
    assert await values(path) == 3


@pytest.fixture
def link(path: Path) -> Path:
    (path.parent / "disk").mkdir()
    path.symlink_to(path.parent / "disk" / "real.sqlite")
    return path


async def test_a_log_in_use_behind_a_link_is_copied_whole(
    link: Path, copy: Path
) -> None:
    async with open_at(Place("sqlite", str(link))) as log:
        await apply(log, WANTED, new_id=ID, now_ms=now_ms)
        for number in range(20):
            await log.append(LATEST, [(1, Entry(b"price:x", b"%d" % number))])
        # The newest stand in the file beside the one that the link leads to.
        assert (await back_up(link, copy)).code == 0
    assert await values(copy) == 20


async def test_nothing_is_overwritten(path: Path, copy: Path) -> None:
    await a_log(path)
    await a_log(copy, values=7)
    ended = await back_up(path, copy)
    assert (ended.code, "is there already" in ended.err) == (1, True), ended
    assert await values(copy) == 7


@pytest.mark.parametrize("spoil", [no_database, damaged])
async def test_a_damaged_log_makes_no_copy(
    path: Path, copy: Path, spoil: Callable[[Path], None]
) -> None:
    await a_log(path, values=3)
    spoil(path)
    ended = await back_up(path, copy)
    assert (ended.code, ended.err.count("\n")) == (1, 1), ended
    assert list(copy.parent.iterdir()) == []


async def test_what_cannot_be_copied_is_one_line(path: Path, copy: Path) -> None:
    ended = await back_up(path, copy)
    assert (ended.code, "there is no log at" in ended.err) == (1, True), ended
    async with open_at(Place("sqlite", str(path))):
        pass
    ended = await back_up(path, copy)
    assert (ended.code, "it has no identity" in ended.err) == (1, True), ended
    async with open_at(Place("sqlite", str(path))) as log:
        await apply(log, WANTED, new_id=ID, now_ms=now_ms)
    ended = await back_up(path, copy.parent / "no" / "copy.sqlite")
    assert (ended.code, "there is no folder" in ended.err) == (1, True), ended
    ended = await back_up(path, copy, "--live")
    assert (ended.code, "simulated world" in ended.err) == (1, True), ended
    assert list(copy.parent.iterdir()) == []


async def test_a_log_on_a_broker_is_not_copied_by_us(path: Path) -> None:
    settings = {"log": "kafka://127.0.0.1:1", "environment": "development"}
    ended = await run("backup", "copy", cwd=path.parent, **settings)
    assert (ended.code, "its own tools" in ended.err) == (1, True), ended
