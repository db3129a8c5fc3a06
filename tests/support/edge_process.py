"""The edge as a process of its own, that can be counted from outside and be spoilt.

``python -m tests.support.edge_process`` with what it is told as JSON. It prints its port;
for each line that it reads it prints what it holds. It ends with its stdin.
"""

import asyncio
import gc
import json
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

from edge.clients import Client
from edge.config import EdgeConfig
from edge.core.members import Member
from edge.service import running
from eventlog.sqlite import SqliteConfig, open_sqlite
from runtime import logs
from runtime.clock import SystemClock
from tests.support.edge_mutants import MUTANTS
from tests.support.shared_data import ROOT

_OF_A_CONNECTION = {Client, Member, web.BaseRequest, web.StreamResponse}
_START_S = 30.0
_END_S = 20.0
_SAID_CHARACTERS = 20_000


@dataclass(frozen=True, slots=True)
class Counted:
    """What an edge holds when nothing is going on.

    ``parts`` are objects that belong to one connection.
    """

    tasks: int
    parts: int
    objects: int
    files: int
    memory_kib: int


class EdgeProcess:
    """A running edge; ``said`` is what it wrote to stderr so far."""

    def __init__(self, process: Process, port: int) -> None:
        self.process, self.port = process, port
        self.said = ""

    @property
    def is_alive(self) -> bool:
        return self.process.returncode is None

    async def count(self) -> Counted:
        """Ask it what it holds."""
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(b"count\n")
        async with asyncio.timeout(_START_S):
            counted = json.loads(await stdout.readline())
        proc = Path(f"/proc/{self.process.pid}")
        (resident,) = [
            line.split()[1]
            for line in (proc / "status").read_text().splitlines()
            if line.startswith("VmRSS:")
        ]
        files = len(list((proc / "fd").iterdir()))
        return Counted(**counted, files=files, memory_kib=int(resident))

    async def listen(self) -> None:
        """Keep what it says on stderr, the newest of it."""
        stderr = self.process.stderr
        assert stderr is not None
        while more := await stderr.read(65_536):
            self.said = (self.said + more.decode(errors="replace"))[-_SAID_CHARACTERS:]


@asynccontextmanager
async def edge_process(
    log: Path, *, partitions: int, mutant: str = "", **settings: Any
) -> AsyncIterator[EdgeProcess]:
    """Run an edge over a log that is there until the context is left."""
    told = {"log": str(log), "partitions": partitions, "mutant": mutant}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.support.edge_process",
        json.dumps(told | {"settings": settings}),
        cwd=ROOT,
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(_START_S):
            first = await process.stdout.readline()
        if not first:
            assert process.stderr is not None
            raise AssertionError((await process.stderr.read()).decode())
        edge = EdgeProcess(process, json.loads(first)["port"])
        async with asyncio.TaskGroup() as group:
            listening = group.create_task(edge.listen(), name="hear stderr")
            yield edge
            await _end(process)
            await listening
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _end(process: Process) -> None:
    assert process.stdin is not None
    with suppress(ConnectionError):
        process.stdin.close()
    async with asyncio.timeout(_END_S):
        await process.wait()


def config_of(settings: dict[str, Any]) -> EdgeConfig:
    """Return a config that says no more than it must."""
    return EdgeConfig("e1", port=0, origins=("*",), **settings)


async def serve(told: dict[str, Any]) -> None:
    clock = SystemClock()
    log_config = SqliteConfig(Path(told["log"]), now_ms=clock.now_ms)
    async with (
        open_sqlite(log_config) as log,
        running(
            log,
            config_of(told["settings"]),
            partitions=told["partitions"],
            clock=clock,
        ) as edge,
    ):
        await edge.caught_up.wait()
        _say(port=edge.port)
        async for _ in _lines():
            gc.collect()
            held = gc.get_objects()
            # Some of these are abstract: asked with isinstance they keep what was asked.
            parts = sum(
                not _OF_A_CONNECTION.isdisjoint(type(each).__mro__) for each in held
            )
            tasks = len(asyncio.all_tasks())
            _say(tasks=tasks, parts=parts, objects=len(held))
            del held


async def _lines() -> AsyncIterator[bytes]:
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    try:
        while line := await reader.readline():
            yield line
    finally:
        transport.close()


def _say(**fields_said: int) -> None:
    sys.stdout.write(json.dumps(fields_said) + "\n")
    sys.stdout.flush()


def main(said: str) -> None:
    told = json.loads(said)
    logs.configure("edge", human=False)
    if told["mutant"]:
        MUTANTS[told["mutant"]]()
    asyncio.run(serve(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
