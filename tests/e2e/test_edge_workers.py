"""`edge --workers`: processes behind one port, killed, told to stop, or hopeless."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect

from app.ports import free_port
from app.workers import MOST_DEATHS
from tests.support.feeding import Publisher, a_token, eager
from tests.support.log_lines import LogLines
from tests.support.processes import LIMIT_S, environment, is_alive, until
from tests.support.programs import (
    Program,
    a_log_for_processes,
    check_against_log,
    programs_at,
    round_heard,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

PROGRAMS = 6
WORKERS = ("worker 1", "worker 2")


@dataclass
class Workers:
    """A running `edge --workers 2`, and how often a worker of it has been started."""

    process: Process
    port: int
    log: LogLines
    _reading: "asyncio.Task[None]"
    starts: int = len(WORKERS)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def pids(self) -> dict[str, int]:
        """Wait until all are ready; return the id of each."""
        await self.log.said("ready", times=self.starts)
        async with httpx.AsyncClient() as http:
            answer = await http.get(f"{self.url}/health/ready")
        told: dict[str, dict[str, Any]] = answer.json()["processes"]
        assert all(each["ready"] for each in told.values()), told
        return {name: each["pid"] for name, each in told.items()}

    async def ended(self) -> int:
        """Wait until it and its workers have ended and all they said is read."""
        # Up to five starts of two processes, with waits between them.
        async with asyncio.timeout(4 * LIMIT_S):
            await self._reading
            return await self.process.wait()


@asynccontextmanager
async def workers(cwd: Path, **settings: object) -> AsyncIterator[Workers]:
    port, log = free_port("127.0.0.1"), LogLines()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "app", "edge", "--workers", "2"),
        cwd=cwd,
        env=environment({"port": port, **settings}),
        stdin=DEVNULL,
        stderr=PIPE,
    )
    assert process.stderr is not None
    reading = asyncio.ensure_future(log.read(process.stderr))
    try:
        yield Workers(process, port, log, reading)
    finally:
        if process.returncode is None:
            process.kill()
        # Its workers end with it.
        async with asyncio.timeout(LIMIT_S):
            await reading
        await process.wait()


@dataclass
class Scene:
    """Workers, and programs that hear all that is published."""

    running: Workers
    publisher: Publisher
    tokens: list[str]
    programs: list[Program]

    async def rounds(self, count: int = 1) -> None:
        for _ in range(count):
            await round_heard(self.publisher, self.tokens, self.programs)

    async def replaced(self, worker: str, number: int) -> None:
        """Send a worker a signal while values change; wait until another is ready."""
        before = await self.running.pids()
        self.running.starts += 1
        os.kill(before[worker], number)
        while is_alive(before[worker]):
            await self.rounds()
        await self.rounds()
        after = await self.running.pids()
        assert after.keys() == before.keys()
        assert [w for w in after if after[w] != before[w]] == [worker]
        await self.rounds()


@asynccontextmanager
async def a_scene(cwd: Path, **settings: object) -> AsyncIterator[Scene]:
    tokens: list[str] = [a_token("shared") for _ in range(4)]
    async with AsyncExitStack() as stack:
        log = await stack.enter_async_context(a_log_for_processes(cwd))
        running = await stack.enter_async_context(workers(cwd, **settings))
        await running.pids()
        programs = await stack.enter_async_context(
            programs_at(running.url, tokens, count=PROGRAMS, options=eager())
        )
        scene = Scene(running, Publisher(log), tokens, programs)
        await scene.rounds()
        yield scene
        await check_against_log(programs, log)


async def test_workers_are_killed_and_replaced_one_by_one_and_nobody_misses_anything(
    tmp_path: Path,
) -> None:
    async with a_scene(tmp_path, drain_s=0.5) as scene:
        for number in (signal.SIGKILL, signal.SIGTERM):
            for worker in WORKERS:
                await scene.replaced(worker, number)
        died = scene.running.log.events("service died")
        assert [(each["died"], each["exit_code"]) for each in died] == [
            (worker, -signal.SIGKILL) for worker in WORKERS
        ]
        stopped = scene.running.log.events("service stopped")
        assert [each["stopped"] for each in stopped] == [*WORKERS]
        async with httpx.AsyncClient() as http:
            text = (await http.get(f"{scene.running.url}/metrics")).text
        clients = [
            float(line.split()[-1])
            for line in text.splitlines()
            if line.startswith("stacks_feed_clients{")
        ]
        # Of each worker, of all together as many as there are.
        assert sum(clients) == PROGRAMS
        pids = await scene.running.pids()
        scene.running.process.terminate()
        assert await scene.running.ended() == 0
        assert not any(is_alive(pid) for pid in pids.values())
        assert scene.running.log.events("service failed") == []


async def test_a_second_signal_ends_the_farewells_of_all(tmp_path: Path) -> None:
    patient = workers(tmp_path, drain_s=600)
    async with a_log_for_processes(tmp_path), patient as running:
        await running.pids()
        clients = [await connect(f"ws://127.0.0.1:{running.port}/prices") for _ in "ab"]
        running.process.terminate()
        await running.log.said("closing clients", times=2)
        assert not any(client.close_code for client in clients)
        running.process.terminate()
        assert await running.ended() == 0
        for client in clients:
            async with asyncio.timeout(LIMIT_S):
                await client.wait_closed()
            assert client.close_code == 1012


async def test_when_the_first_process_is_killed_its_workers_end(tmp_path: Path) -> None:
    async with a_log_for_processes(tmp_path), workers(tmp_path) as running:
        pids = await running.pids()
        running.process.kill()
        await until("they end", lambda: not any(map(is_alive, pids.values())))


async def test_workers_that_die_again_and_again_end_the_edge_with_one_line(
    tmp_path: Path,
) -> None:
    # Reading the first record of the table is the death of each.
    mortal = workers(tmp_path, crash_at="table-updated")
    async with a_log_for_processes(tmp_path), mortal as running:
        assert await running.ended() == 1
        (failed,) = running.log.events("service failed")
        assert f"died {MOST_DEATHS} times in a row" in failed["error"]
        assert "traceback" not in failed


async def test_a_worker_that_hangs_is_said_to_and_replaced(tmp_path: Path) -> None:
    async with a_log_for_processes(tmp_path), workers(tmp_path) as running:
        before = await running.pids()
        await running.log.said("service answers", times=2)
        os.kill(before["worker 1"], signal.SIGSTOP)
        await running.log.said("service does not answer", times=1)
        await running.log.said("service killed: it hangs", times=1)
        running.starts += 1
        after = await running.pids()
    assert after["worker 1"] != before["worker 1"]
    assert after["worker 2"] == before["worker 2"]
