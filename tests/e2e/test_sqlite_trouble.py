"""The processor as a process on a SQLite file that is full, gone, or kept locked."""

import asyncio
import resource
import sqlite3
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, closing
from functools import cache
from pathlib import Path

import pytest

from eventlog.port import EventLog
from tests.support import history
from tests.support.logs import PARTITIONS, Place, open_at
from tests.support.pipeline import Ends, Told, append, check, follow_progress, tell
from tests.support.processes import LIMIT_S, run, running, until

pytestmark = pytest.mark.slow

_ONE_IN = 40
_FILE = "log.sqlite"
_SETTINGS: dict[str, object] = {"log": _FILE, "log_level": "WARNING"}


@cache
def a_part() -> Told:
    seen = list(history.observations())[::_ONE_IN]
    return tell([(o.topic, o.key, o.value) for o in seen])


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[EventLog]:
    """The log of a world whose topics are made as an operator makes them."""
    made = await run(
        "topics",
        "apply",
        cwd=tmp_path,
        partitions=PARTITIONS,
        audit_days=0,
        **_SETTINGS,
    )
    assert made.code == 0, made
    async with open_at(Place("sqlite", str(tmp_path / _FILE))) as opened:
        yield opened


async def the_line(process: Process, *, code: int = 1) -> str:
    """Wait until a service has ended as it should; return the one line that says why."""
    async with asyncio.timeout(LIMIT_S):
        _, err = await process.communicate()
    assert process.returncode == code, err.decode()
    lines = [line for line in err.decode().splitlines() if "service failed" in line]
    assert lines, err.decode()
    assert "traceback" not in err.decode()
    return lines[0]


@asynccontextmanager
async def processor(cwd: Path) -> AsyncIterator[Process]:
    async with running("processor", cwd=cwd, **_SETTINGS) as process:
        yield process


async def all_is_folded(log: EventLog, ends: Ends) -> None:
    async with follow_progress(log) as progress:
        await progress.reached(ends)


async def test_who_finds_no_room_ends_and_goes_on_where_it_was_when_there_is_some(
    log: EventLog, tmp_path: Path
) -> None:
    told = a_part()
    quarter = len(told.entries) // 4
    async with processor(tmp_path) as process:
        ends = await append(log, told.entries[:quarter])
        await all_is_folded(log, ends)
        # From here on no file may grow for it: a limit as a quota or a full disk is.
        size = (tmp_path / f"{_FILE}-wal").stat().st_size
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size, size))
        ends = await append(log, told.entries[quarter:])
        line = await the_line(process)
    assert "no space is left for the log at" in line
    async with processor(tmp_path):
        await all_is_folded(log, ends)
    await check(log, told)


async def test_who_finds_the_file_gone_ends_and_says_so(
    log: EventLog, tmp_path: Path
) -> None:
    async with processor(tmp_path) as process:
        await all_is_folded(log, await append(log, a_part().entries[:50]))
        (tmp_path / _FILE).rename(tmp_path / "moved")
        assert "the log file is gone" in await the_line(process)
    (tmp_path / "moved").rename(tmp_path / _FILE)


@pytest.mark.timeout(120)
async def test_every_service_that_finds_the_files_beside_it_gone_ends_and_says_so(
    log: EventLog, tmp_path: Path
) -> None:
    # The audit keeps 1 for a difference.
    codes = {"processor": 1, "edge": 1, "ingest": 1, "audit watch": 3}
    async with AsyncExitStack() as stack:
        processes = []
        for words in codes:
            opened = running(*words.split(), cwd=tmp_path, port=0, **_SETTINGS)
            processes.append(await stack.enter_async_context(opened))
        await until("all have opened it", lambda: all(map(is_in(tmp_path), processes)))
        await all_is_folded(log, await append(log, a_part().entries[:50]))
        for ending in ("-wal", "-shm"):
            (tmp_path / f"{_FILE}{ending}").unlink()
        # Though nothing more is written.
        for process, code in zip(processes, codes.values(), strict=True):
            line = await the_line(process, code=code)
            assert "-wal, or -shm, was removed" in line


def is_in(folder: Path) -> Callable[[Process], bool]:
    """Return a function that tells whether a process has the log there open."""

    def is_open(process: Process) -> bool:
        sockets = (folder / f"{_FILE}-wake").iterdir()
        return any(path.name.startswith(f"{process.pid}-") for path in sockets)

    return is_open


async def test_who_finds_the_file_locked_waits_names_the_holder_and_goes_on(
    log: EventLog, tmp_path: Path
) -> None:
    told = a_part()
    async with processor(tmp_path) as process:
        await append(log, told.entries)
        with closing(sqlite3.connect(tmp_path / _FILE, isolation_level=None)) as db:
            db.execute("BEGIN EXCLUSIVE")
            assert process.stderr is not None
            async with asyncio.timeout(LIMIT_S):
                line = (await process.stderr.readline()).decode()
            db.execute("ROLLBACK")
        assert "has kept" in line
        assert "another process, " in line
        await all_is_folded(log, ends_of(told))
    await check(log, told)


def ends_of(told: Told) -> Ends:
    """Return the positions at which everything that was told has been read."""
    return {at: len(records) for at, records in told.raw.items() if records}
