"""A whole system in child processes: `stacks-feed up` in a directory of its own."""

import asyncio
import json
import re
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import websockets
from websockets.asyncio.client import ClientConnection, connect

from tests.support.processes import LIMIT_S, environment, is_alive, until

_RETRY_S = 0.05


@dataclass(frozen=True, slots=True)
class System:
    """A running `up`: what it printed, and what it listens on."""

    process: Process
    cwd: Path

    @property
    def first_lines(self) -> str:
        return (self.cwd / "out").read_text()

    @property
    def edge(self) -> str:
        """Host and port of the edge."""
        return self._found(r"ws://([^/\s]+)/parties/prices")

    @property
    def simulator(self) -> str:
        """URL of the simulator."""
        return self._found(r"simulator at (http://[^;\s]+)")

    def _found(self, pattern: str) -> str:
        match = re.search(pattern, self.first_lines)
        assert match, self.first_lines
        return match[1]

    def events(self, event: str) -> list[dict[str, Any]]:
        """Return the log lines of one event, of all processes."""
        lines = (self.cwd / "err").read_text().splitlines()
        read = [json.loads(line) for line in lines if line.endswith("}")]
        return [line for line in read if line["event"] == event]

    def pids(self, service: str) -> list[int]:
        """Return the ids of the processes of one service, the newest last."""
        started = self.events("service started")
        return [line["pid"] for line in started if line["started"] == service]

    def living(self) -> list[int]:
        """Return the ids of all children that run."""
        started = self.events("service started")
        return [line["pid"] for line in started if is_alive(line["pid"])]

    async def admin(self, path: str, **body: object) -> None:
        """Ask the simulator's operator side for something."""
        async with httpx.AsyncClient() as client:
            answer = await client.post(f"{self.simulator}/admin/{path}", json=body)
        answer.raise_for_status()


@asynccontextmanager
async def system(cwd: Path, **settings: object) -> AsyncIterator[System]:
    """Run everything in ``cwd`` on free ports; at the end nothing of it is left."""
    with (cwd / "out").open("wb") as out, (cwd / "err").open("wb") as err:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "app",
            "up",
            cwd=cwd,
            env=environment({"port": 0, "price_interval_s": 1, **settings}),
            stdin=DEVNULL,
            stdout=out,
            stderr=err,
        )
        running = System(process, cwd)
        try:
            await until("the first lines", lambda: "Ctrl-C" in running.first_lines)
            yield running
        finally:
            await _end(running)


async def _end(running: System) -> None:
    if running.process.returncode is None:
        running.process.terminate()
    async with asyncio.timeout(LIMIT_S):
        await running.process.wait()
    await until("the children end", lambda: not running.living())


@asynccontextmanager
async def client(url: str) -> AsyncIterator[ClientConnection]:
    """Connect as a client does: again and again until somebody answers."""
    async with asyncio.timeout(LIMIT_S):
        connection = await _connected(url)
    try:
        yield connection
    finally:
        await connection.close()


async def _connected(url: str) -> ClientConnection:
    while True:
        try:
            return await connect(url)
        except (OSError, websockets.InvalidHandshake):
            await asyncio.sleep(_RETRY_S)


async def received(connection: ClientConnection, kind: str) -> dict[str, Any]:
    """Return the next message of a type; others are passed over."""
    async with asyncio.timeout(LIMIT_S):
        async for text in connection:
            message: dict[str, Any] = json.loads(text)
            if message["type"] == kind:
                return message
    raise AssertionError(f"the connection ended before a {kind}")
