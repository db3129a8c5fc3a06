"""`backfill` as a process: killed or interrupted it goes on where it was, nothing twice."""

import asyncio
import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
from asyncio.subprocess import Process
from contextlib import closing
from pathlib import Path

import pytest

from eventlog.port import Partition
from schemas.topics import PRICES_RAW
from tests.support.logs import Place, open_at, read_all
from tests.support.places import KINDS, fresh_place
from tests.support.processes import LIMIT_S, environment, run, running

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

TOKENS = [f"SP2ZNGJ85ENDY6QRHQ5P2D4FXKGZWCKTB2T0Z55KS.t{n}" for n in range(3)]
ROWS = 16_000
AT = 1_606_780_800_000
# The third of the four appends is in the log, and nobody was told.
STEP = "append-written:3"


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return fresh_place(request, tmp_path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Many prices of three tokens, the newest first."""
    rows = [f"{TOKENS[n % 3]},x,{n + 1},{AT + n}" for n in reversed(range(ROWS))]
    path = tmp_path / "many.csv"
    path.write_text("\n".join(["contractId,source,usd,observedAt", *rows]))
    return path


def settings_of(place: Place) -> dict[str, object]:
    if place.kind == "sqlite":
        return {"log": place.address, "partitions": 2}
    return {
        "log": f"kafka://{place.address}",
        "log_prefix": place.prefix,
        "environment": "development",
        "partitions": 2,
    }


async def written(place: Place) -> list[int]:
    """Return the numbers of the rows in the log, those of each token in its order."""
    parts = [Partition(PRICES_RAW, n) for n in range(2)]
    async with open_at(place) as log:
        found = await read_all(log, parts)
    seen = [json.loads(r.value or b"") for records in found.values() for r in records]
    of_tokens = [[int(s["usd"]) for s in seen if s["contractId"] == t] for t in TOKENS]
    assert all(numbers == sorted(numbers) for numbers in of_tokens)
    return sorted(number for numbers in of_tokens for number in numbers)


def on_a_terminal(*arguments: str, cwd: Path) -> tuple[str, str]:
    """Run a command whose stderr alone is a terminal; return stdout and what it shows."""
    reading, writing = os.openpty()
    shown = b""
    with (cwd / "stdout").open("w+") as stdout:
        process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-m", "app", *arguments],
            cwd=cwd,
            env=environment({}) | {"TERM": "xterm"},
            stdout=stdout,
            stderr=writing,
        )
        os.close(writing)
        with contextlib.suppress(OSError):  # that is how a terminal ends
            while some := os.read(reading, 65_536):
                shown += some
        os.close(reading)
        assert process.wait(LIMIT_S) == 0, shown
        stdout.seek(0)
        return stdout.read(), shown.decode()


def test_the_plan_goes_to_stdout_and_the_bars_to_the_terminal(
    path: Path, tmp_path: Path
) -> None:
    on_a_terminal("topics", "apply", cwd=tmp_path)
    said, shown = on_a_terminal("backfill", path.name, cwd=tmp_path)
    first, total, last = said.splitlines()
    assert first.startswith("many.csv: 16,000 rows of 3 keys")
    assert total.startswith("16,000 rows of 3 keys: 16,000 to write")
    assert last == "16,000 rows written"
    assert "reading files" in shown


async def planned(process: Process) -> None:
    """Wait until a run has told its plan."""
    assert process.stdout is not None
    async with asyncio.timeout(LIMIT_S):
        while b"to write" not in await process.stdout.readline():
            pass


async def test_a_run_that_was_killed_is_gone_on_with(
    place: Place, path: Path, tmp_path: Path
) -> None:
    settings = settings_of(place)
    assert (await run("topics", "apply", cwd=tmp_path, **settings)).code == 0
    killed = await run("backfill", path.name, cwd=tmp_path, crash_at=STEP, **settings)
    assert killed.code == -signal.SIGKILL, killed
    before = await written(place)
    assert 0 < len(before) < ROWS
    ended = await run("backfill", path.name, "--json", cwd=tmp_path, **settings)
    assert ended.code == 0, ended
    said = json.loads(ended.out)
    assert (said["inLog"], said["written"]) == (len(before), ROWS - len(before))
    assert await written(place) == list(range(1, ROWS + 1))


async def test_a_run_that_was_interrupted_says_how_far_it_came(
    path: Path, tmp_path: Path
) -> None:
    place = Place("sqlite", f"{tmp_path / 'log.sqlite'}")
    settings = settings_of(place)
    assert (await run("topics", "apply", cwd=tmp_path, **settings)).code == 0
    with closing(sqlite3.connect(place.address)) as db:
        async with running("backfill", path.name, cwd=tmp_path, **settings) as process:
            db.execute("BEGIN IMMEDIATE")  # it can read, and must wait with writing
            await planned(process)
            process.send_signal(signal.SIGINT)
            db.rollback()
            async with asyncio.timeout(LIMIT_S):
                _, err = await process.communicate()
    assert process.returncode == 130
    (line,) = err.decode().splitlines()
    assert line.startswith("interrupted: ")
    assert "of 16,000 rows are surely written; the same command goes on" in line
    ended = await run("backfill", path.name, cwd=tmp_path, **settings)
    assert ended.code == 0, ended
    assert await written(place) == list(range(1, ROWS + 1))
