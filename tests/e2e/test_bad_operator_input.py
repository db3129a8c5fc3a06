"""What an operator gets wrong is one line with what to do, a code, and no traceback."""

import socket
from pathlib import Path

import pytest

from app.ports import free_port
from eventlog.port import Cleanup, TopicSpec
from eventlog.sqlite import SqliteConfig, open_sqlite
from runtime.clock import SystemClock
from schemas.topics import LATEST
from tests.support.processes import Ended, run

SERVICES = ("ingest", "processor", "edge")


def the_line(ended: Ended, *, code: int) -> str:
    """Return the one line on stderr of a command that failed as it should."""
    assert ended.code == code, ended
    assert "Traceback" not in ended.err
    (line,) = ended.err.splitlines()
    assert line.startswith("stacks-feed ")
    return line


async def an_applied_log(cwd: Path, **settings: object) -> None:
    ended = await run("topics", "apply", cwd=cwd, **settings)
    assert ended.code == 0, ended


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"port": "many"}, "STACKS_FEED_PORT: Input should be a valid integer"),
        ({"prt": 1}, "did you mean STACKS_FEED_PORT?"),
        ({"environment": "prod"}, "'development' or 'production'"),
        ({"log": "redis://localhost:1"}, "redis:// is not a log"),
        ({"log": "kafka://localhost:1"}, "set STACKS_FEED_ENVIRONMENT"),
        ({"log": "kafka://me:hunter2@h:1"}, "STACKS_FEED_KAFKA_PASSWORD"),
    ],
    ids=["type", "name", "choice", "scheme", "environment", "password in the URL"],
)
@pytest.mark.parametrize("command", ["up", "edge"])
async def test_bad_settings(
    tmp_path: Path, command: str, settings: dict[str, object], said: str
) -> None:
    line = the_line(await run(command, cwd=tmp_path, **settings), code=2)
    assert said in line
    assert "hunter2" not in line


@pytest.mark.parametrize("command", SERVICES)
async def test_a_service_without_a_log(tmp_path: Path, command: str) -> None:
    line = the_line(await run(command, cwd=tmp_path), code=1)
    assert "there is no log at data/stacks-feed.sqlite" in line
    assert "stacks-feed topics apply" in line


async def a_log_with(path: Path, *specs: TopicSpec) -> None:
    config = SqliteConfig(path=path, now_ms=SystemClock().now_ms)
    async with open_sqlite(config) as log:
        await log.create(specs)


@pytest.mark.parametrize("command", SERVICES)
async def test_a_log_without_topics(tmp_path: Path, command: str) -> None:
    await a_log_with(tmp_path / "x.sqlite")
    line = the_line(await run(command, cwd=tmp_path, log="x.sqlite"), code=1)
    assert "has no topics yet" in line
    assert "stacks-feed topics apply" in line


@pytest.mark.parametrize("command", ["up", *SERVICES])
async def test_topics_that_are_not_as_they_must_be(
    tmp_path: Path, command: str
) -> None:
    # Somebody made `latest` by hand: one partition too many, and it forgets.
    wrong = TopicSpec(LATEST, 3, Cleanup(compact=False, retention_ms=None))
    await a_log_with(tmp_path / "x.sqlite", wrong)
    applied = await run("topics", "apply", cwd=tmp_path, log="x.sqlite")
    assert applied.code == 1
    assert "differs: latest: partitions is 3, should be 2" in applied.out
    ended = await run(command, cwd=tmp_path, log="x.sqlite", port=0)
    line = the_line(ended, code=1)
    assert "latest: partitions is 3, should be 2" in line
    assert "choose a new log" in line


@pytest.mark.parametrize("command", ["up", *SERVICES])
@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"live": "true"}, "holds a simulated world"),
        ({"network": "testnet"}, "is of mainnet"),
    ],
    ids=["world", "network"],
)
async def test_a_log_of_another_world_or_network(
    tmp_path: Path, command: str, settings: dict[str, object], said: str
) -> None:
    await an_applied_log(tmp_path)
    line = the_line(await run(command, cwd=tmp_path, port=0, **settings), code=1)
    assert said in line
    assert "choose another log" in line


@pytest.mark.parametrize("command", ["up", "tail", *SERVICES])
async def test_a_corrupt_file(tmp_path: Path, command: str) -> None:
    path = tmp_path / "x.sqlite"
    path.write_bytes(b"this is no database at all, however long it goes on. " * 200)
    before = path.read_bytes()
    ended = await run(command, cwd=tmp_path, log="x.sqlite", port=0)
    assert "cannot be used" in the_line(ended, code=1)
    assert path.read_bytes() == before


async def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ended = await run("up", cwd=tmp_path, log="file/x.sqlite", port=0)
    assert "file" in the_line(ended, code=1)


@pytest.mark.parametrize("command", ["up", "edge"])
async def test_a_port_in_use(tmp_path: Path, command: str) -> None:
    await an_applied_log(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = the_line(await run(command, cwd=tmp_path, port=port), code=1)
    assert f"port {port} on 127.0.0.1 for the edge is in use" in line
    assert "STACKS_FEED_PORT" in line


async def test_the_port_of_the_simulator_in_use(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = await run("simulator", cwd=tmp_path, simulator_port=port)
    assert "STACKS_FEED_SIMULATOR_PORT" in the_line(ended, code=1)


@pytest.mark.parametrize("command", ["up", "tail", *SERVICES])
async def test_a_broker_that_cannot_be_reached(tmp_path: Path, command: str) -> None:
    ended = await run(
        command,
        cwd=tmp_path,
        log=f"kafka://127.0.0.1:{free_port('127.0.0.1')}",
        environment="development",
        port=0,
    )
    line = the_line(ended, code=1)
    assert "is not available" in line
    assert "correct STACKS_FEED_LOG" in line


async def test_a_key_pattern_or_a_file_that_is_not_there(tmp_path: Path) -> None:
    await an_applied_log(tmp_path)
    ended = await run("backfill", "gone.csv", cwd=tmp_path)
    assert "gone.csv: no such file" in the_line(ended, code=1)
