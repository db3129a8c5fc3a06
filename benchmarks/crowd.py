"""A real edge over a real log, and a crowd of clients that a program in C plays.

The edge has core 0, the crowd core 1; whoever drives them only waits meanwhile.
"""

import asyncio
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.topics import specs
from benchmarks import ROOT
from benchmarks.edge_server import PARTITIONS
from benchmarks.logs import now_ms
from eventlog.port import Entry, EventLog
from eventlog.sqlite import SqliteConfig, open_sqlite
from schemas.topics import LATEST
from tests.support.edge_table import Record, identity, terms

_SOURCE = ROOT / "benchmarks/crowd.c"
_ANSWER_S = 120.0
# What a process has open besides the sockets of clients.
_OTHER_FILES = 512


class NoCrowd(Exception):
    """The crowd cannot be played here; the text says why."""


@dataclass(frozen=True, slots=True)
class Place:
    """The program of the crowd, and a folder for logs."""

    program: Path
    folder: Path


@dataclass(frozen=True, slots=True)
class Took:
    """How long updates took from before their commit to a client."""

    count: int
    p50_ms: float
    p99_ms: float
    max_ms: float


@dataclass(frozen=True, slots=True)
class Spent:
    """What a process has used so far."""

    cpu_s: float
    memory_kib: int


class Told:
    """A process that answers lines with lines of JSON."""

    def __init__(
        self, stdin: asyncio.StreamWriter, stdout: asyncio.StreamReader
    ) -> None:
        self._stdin, self._stdout = stdin, stdout

    async def said(self) -> dict[str, Any]:
        """Return its next line."""
        async with asyncio.timeout(_ANSWER_S):
            line = await self._stdout.readline()
        if not line:
            raise AssertionError("a process of the benchmark has ended")
        return dict(json.loads(line))

    async def ask(self, *words: object) -> dict[str, Any]:
        """Tell it to do something; return its answer."""
        self._stdin.write((" ".join(map(str, words)) + "\n").encode())
        return await self.said()


@dataclass(frozen=True, slots=True)
class Scene:
    """The log, the edge that follows it, and the crowd before it."""

    log: EventLog
    edge: Told
    crowd: Told
    folder: Path

    async def open(self, lines: Sequence[str]) -> float:
        """Let a client in for each line; return how long that took, in seconds."""
        file = self.folder / "clients"
        file.write_text("".join(f"{line}\n" for line in lines))
        opened = await self.crowd.ask("open", file)
        if opened["opened"] != len(lines):
            raise AssertionError(f"only {opened['opened']} clients were let in")
        return float(opened["seconds"])

    async def assemble(self, lines: Sequence[str]) -> None:
        """Let clients in and wait until each has what it is told at first."""
        await self.open(lines)
        await self.crowd.ask("settle")

    async def commit(self, records: Sequence[Record]) -> None:
        """Append a batch to ``latest``."""
        await self.log.append(LATEST, [(0, Entry(*each)) for each in records])

    async def arrived(self, updates: int) -> float:
        """Wait until the crowd has so many updates; return how long, in seconds."""
        answer = await self.crowd.ask("await", updates)
        if answer["updates"] != updates:
            raise AssertionError(f"{answer['updates']} updates came, not {updates}")
        return float(answer["seconds"])

    async def spent(self) -> Spent:
        """Return what the edge has used."""
        return Spent(**await self.edge.ask("cost"))

    async def took(self) -> Took:
        """Return how long updates took since last asked."""
        said = await self.crowd.ask("took")
        times_ms = (said[each] / 1_000 for each in ("p50", "p99", "max"))
        return Took(said["count"], *times_ms)


def moment() -> int:
    """Return now as the crowd reads it in a value."""
    return time.time_ns() // 1_000 % 1_000_000_000


def crowd_program(folder: Path) -> Path:
    """Build the program and return where it is; raises ``NoCrowd``."""
    compiler = shutil.which("cc")
    if compiler is None:
        raise NoCrowd("no C compiler (cc)")
    program = folder / "crowd"
    command = [compiler, "-O2", "-o", str(program), str(_SOURCE)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    if built.returncode:
        raise NoCrowd(f"cc fails: {built.stderr.strip()[:200]}")
    return program


def has_room_for(clients: int) -> None:
    """Raise ``NoCrowd`` if a process may not have so many connections."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < clients + _OTHER_FILES:
        raise NoCrowd(f"{hard} open files are allowed, {clients} clients need more")


@asynccontextmanager
async def scene(
    place: Place, table: Sequence[Record], *, field: str
) -> AsyncIterator[Scene]:
    """Run an edge over a log that holds ``table``, and a crowd that reads ``field``."""
    folder = Path(tempfile.mkdtemp(dir=place.folder))
    path = folder / "log.sqlite"
    async with open_sqlite(SqliteConfig(path, now_ms=now_ms)) as log:
        await log.create(specs(partitions=PARTITIONS, audit_days=0))
        before = [identity(partitions=PARTITIONS), terms(0), *table]
        await log.append(LATEST, [(0, Entry(*each)) for each in before])
        server = [sys.executable, "-m", "benchmarks.edge_server", str(path)]
        async with _process(server, core=0) as edge:
            port = (await edge.said())["port"]
            async with _process(
                [str(place.program), f"{port}", field], core=1
            ) as crowd:
                yield Scene(log, edge, crowd, folder)


@asynccontextmanager
async def _process(command: Sequence[str], *, core: int) -> AsyncIterator[Told]:
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        os.sched_setaffinity(process.pid, {core % (os.cpu_count() or 1)})
        if process.stdin is None or process.stdout is None:
            raise AssertionError("a process without pipes")
        yield Told(process.stdin, process.stdout)
    finally:
        # A clean end would wait for thousands of clients.
        process.kill()
        await process.wait()
