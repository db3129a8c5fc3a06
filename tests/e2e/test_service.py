"""One service as a process of its own: its log lines, its metrics, its end."""

import asyncio
import json
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.ports import free_port
from tests.support.processes import LIMIT_S, environment, run, running


async def event(process: Process, name: str) -> dict[str, Any]:
    """Return the next log line of this name; all lines are JSON objects."""
    assert process.stderr is not None
    async with asyncio.timeout(LIMIT_S):
        async for line in process.stderr:
            said: dict[str, Any] = json.loads(line)
            if said["event"] == name:
                return said
    raise AssertionError(f"the process ended before {name!r}")


async def end(process: Process, number: int) -> int:
    process.send_signal(number)
    async with asyncio.timeout(LIMIT_S):
        return await process.wait()


@pytest.mark.parametrize("name", ["ingest", "processor", "edge"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_service_says_what_it_reads_and_stops_when_told(
    tmp_path: Path, name: str, number: int
) -> None:
    await run("topics", "apply", cwd=tmp_path)
    async with running(name, cwd=tmp_path, port=0, simulator_port=1) as process:
        opened = await event(process, "log opened")
        assert opened["service"] == name
        assert opened["log"].endswith("data/stacks-feed.sqlite")
        assert await end(process, number) == 0


async def test_the_simulator_needs_no_log_and_answers(tmp_path: Path) -> None:
    port = free_port("127.0.0.1")
    async with running("simulator", cwd=tmp_path, simulator_port=port) as process:
        assert process.stderr is not None
        async with asyncio.timeout(LIMIT_S):
            await process.stderr.readline()
        async with httpx.AsyncClient() as client:
            answer = await client.get(f"http://127.0.0.1:{port}/admin/world")
        assert answer.json()["seed"] == 1
        assert await end(process, signal.SIGTERM) == 0


async def becomes_ready(client: httpx.AsyncClient) -> None:
    async with asyncio.timeout(LIMIT_S):
        while (answer := await client.get("/health/ready")).status_code != 200:
            assert answer.json()["reasons"] != []


@pytest.mark.parametrize(
    ("name", "metric"),
    [
        ("ingest", "stacks_feed_upstream_requests_total"),
        ("processor", "stacks_feed_decisions_total"),
    ],
)
async def test_a_service_without_http_serves_health_and_metrics_where_it_is_told(
    tmp_path: Path, name: str, metric: str
) -> None:
    await run("topics", "apply", cwd=tmp_path)
    port = free_port("127.0.0.1")
    url = f"http://127.0.0.1:{port}"
    async with running(
        name, cwd=tmp_path, simulator_port=1, metrics_port=port
    ) as process:
        await event(process, "log opened")
        async with httpx.AsyncClient(base_url=url) as client:
            metrics = (await client.get("/metrics")).text
            assert metric in metrics
            assert "stacks_feed_build_info{commit=" in metrics
            assert "stacks_feed_log_bytes{file=" in metrics
            assert "stacks_feed_log_free_bytes{file=" in metrics
            assert "stacks_feed_table_keys" not in metrics
            assert (await client.get("/health/live")).status_code == 200
            await becomes_ready(client)
        asked = await run("health", url, cwd=tmp_path)
        assert asked.code == 0
        assert asked.out.startswith("ready")
        await end(process, signal.SIGTERM)
    asked = await run("health", url, cwd=tmp_path)
    assert (asked.code, asked.err.count("\n")) == (1, 1)


@asynccontextmanager
async def as_child(cwd: Path, *arguments: str) -> AsyncIterator[Process]:
    """Start a service as `up` does, its stdin held open."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "app",
        *arguments,
        "--with-parent",
        cwd=cwd,
        env=environment({"simulator_port": 1}),
        stdin=PIPE,
        stderr=PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_a_child_ends_when_its_parent_lets_go(tmp_path: Path) -> None:
    await run("topics", "apply", cwd=tmp_path)
    async with as_child(tmp_path, "ingest") as process:
        await event(process, "log opened")
        assert process.stdin is not None
        process.stdin.close()
        failed = await event(process, "service failed")
        assert failed["error"] == "the process that started this one is gone"
        async with asyncio.timeout(LIMIT_S):
            assert await process.wait() == 1


async def test_a_child_that_cannot_start_says_so_among_the_log_lines(
    tmp_path: Path,
) -> None:
    async with as_child(tmp_path, "ingest") as process:
        failed = await event(process, "service failed")
        assert "there is no log" in failed["error"]
        assert "traceback" not in failed
