"""`audit watch` as a process: alone, and among the services of `up`."""

import resource
from asyncio import StreamReader
from asyncio.subprocess import Process
from pathlib import Path

import pytest

from eventlog.port import Partition
from schemas.topics import CHANGES, PRICES_RAW
from tests.support.folded import a_folded_file, tamper
from tests.support.log_lines import LogLines
from tests.support.logs import PARTITIONS
from tests.support.processes import run, running, until
from tests.support.sqlite_logs import drop_all
from tests.support.system import client, received, system
from tests.support.tasks import beside

pytestmark = [pytest.mark.slow, pytest.mark.timeout(90)]


def a_log(cwd: Path) -> Path:
    """Put a small history where `up` has its log."""
    (cwd / "data").mkdir()
    return a_folded_file(cwd / "data" / "stacks-feed.sqlite")


def stderr_of(process: Process) -> StreamReader:
    assert process.stderr is not None
    return process.stderr


async def test_a_difference_ends_it_with_1_and_one_line(tmp_path: Path) -> None:
    tamper(a_log(tmp_path), CHANGES, b'"version":2', b'"version":3')
    ended = await run("audit", "watch", cwd=tmp_path)
    assert ended.code == 1
    lines = ended.err.splitlines()
    assert lines[-1].startswith("stacks-feed audit: changes differs in commit")
    assert "Traceback" not in ended.err


async def test_no_log_is_no_difference(tmp_path: Path) -> None:
    ended = await run("audit", "watch", cwd=tmp_path)
    assert ended.code == 3
    assert "there is no log" in ended.err


async def test_it_stops_when_it_is_told(tmp_path: Path) -> None:
    a_log(tmp_path)
    async with running("audit", "watch", cwd=tmp_path) as process:
        assert process.stderr is not None
        async for line in process.stderr:
            if b"audit begins" in line:
                break
        process.terminate()
        assert await process.wait() == 0


async def test_a_disk_that_is_full_is_told_when_it_begins_and_when_it_ends(
    tmp_path: Path,
) -> None:
    path, lines = a_log(tmp_path), LogLines()
    async with (
        running("audit", "watch", cwd=tmp_path) as process,
        beside(lines.read(stderr_of(process))),
    ):
        await lines.said("audit begins", times=1)
        # From here on no file may grow for it, as on a full disk.
        size = path.with_name(f"{path.name}-wal").stat().st_size
        unlimited = resource.RLIM_INFINITY
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size, unlimited))
        await lines.said("lease not renewed", times=1)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (unlimited, unlimited))
        await lines.said("lease renewed again", times=1)
        assert len(lines.events("lease not renewed")) == 1


async def test_where_history_is_gone_a_point_can_be_declared(tmp_path: Path) -> None:
    path, lines = a_log(tmp_path), LogLines()
    for shard in range(PARTITIONS):
        drop_all(path, Partition(PRICES_RAW, shard))
    ended = await run("audit", "verify", "--jobs", "1", cwd=tmp_path)
    assert ended.code == 3
    (line,) = ended.err.splitlines()
    assert "`stacks-feed audit watch --from now`" in line
    async with (
        running("audit", "watch", "--from", "now", cwd=tmp_path) as process,
        beside(lines.read(stderr_of(process))),
    ):
        await lines.said("history declared", times=2)
    ended = await run("audit", "verify", "--jobs", "1", cwd=tmp_path)
    assert ended.code == 0, ended
    for declared in lines.events("history declared"):
        shard, commit = declared["shard"], declared["commit"]
        assert f"shard {shard}: commits 1 to {commit} can never be" in ended.out


async def test_in_up_a_difference_is_loud_and_the_feed_goes_on(tmp_path: Path) -> None:
    tamper(a_log(tmp_path), CHANGES, b'"version":2', b'"version":3')
    async with system(tmp_path) as up:
        assert "edge, audit" in up.first_lines
        await until("the audit gives up", lambda: up.events("service gave up"))
        (found,) = up.events("difference found")
        assert found["level"] == "critical"
        assert "changes differs" in found["difference"]
        async with client(f"ws://{up.edge}/parties/prices/main") as connection:
            await connection.send('{"type":"SUBSCRIBE"}')
            await received(connection, "PRICE_UPDATE")
        assert len(up.pids("audit")) == 1
