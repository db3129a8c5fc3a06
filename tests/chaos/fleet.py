"""The processes of a run: started, started again, and asked why when they ended."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.victim import AWAY
from tests.support.processes import environment
from tests.support.shared_data import ROOT

_AGAIN_S = 0.3
# What is asked to stop has so long; its own deadline is shorter.
_STOP_LIMIT_S = 15.0
# How long after a fault a start may still find no log.
_TROUBLE_S = 15.0


@dataclass
class Counts:
    """How processes ended: as told, for want of a log, or as findings."""

    killed: int = 0
    starts_refused: int = 0
    findings: list[str] = field(default_factory=list)


async def spawn(
    module: str,
    *arguments: str,
    output: Path,
    variables: Mapping[str, str] | None = None,
) -> Process:
    """Start a module as a process that ends with this one; its words go to a file."""
    with output.open("ab") as opened:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            module,
            *arguments,
            cwd=ROOT,
            env=environment({}) | dict(variables or {}),
            stdin=PIPE,
            stdout=DEVNULL,
            stderr=opened,
        )


async def end(process: Process, how: signal.Signals = signal.SIGKILL) -> None:
    """End a process, in whatever state it is, and wait until it has."""
    if process.returncode is None:
        process.send_signal(how)
    await process.wait()
    if process.stdin is not None:
        process.stdin.close()


class Kept:
    """One process that is started again whenever it ends, until it is let go."""

    def __init__(
        self, name: str, command: Sequence[str], *, folder: Path, fleet: "Fleet"
    ) -> None:
        self.name, self._command, self._fleet = name, command, fleet
        self._output = folder / f"{name}.log"
        self._process: Process | None = None
        self._told_to_end = self._let_go = False

    async def keep(self) -> None:
        """Keep it running until it is let go."""
        try:
            while not self._is_let_go():
                self._told_to_end = False
                module, *arguments = self._command
                self._process = await spawn(module, *arguments, output=self._output)
                if self._is_let_go():
                    return
                code = await self._process.wait()
                if not self._told_to_end:
                    self._fleet.ended(self.name, code)
                await asyncio.sleep(0 if self._told_to_end else _AGAIN_S)
        finally:
            if self._process is not None:
                await end(self._process)

    def _is_let_go(self) -> bool:
        return self._let_go

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, if there is a process to have it."""
        if self._process is not None and self._process.returncode is None:
            os.kill(self._process.pid, number)

    def kill(self) -> None:
        """End it as ``kill -9`` does; another is started at once."""
        self._told_to_end = True
        self.signal(signal.SIGKILL)
        self._fleet.counts.killed += 1

    async def stop(self) -> None:
        """Ask it to stop, and start no other; it is a finding if it does not."""
        self._told_to_end = self._let_go = True
        self.signal(signal.SIGTERM)
        process = self._process
        if process is None:
            return
        try:
            async with asyncio.timeout(_STOP_LIMIT_S):
                code = await process.wait()
        except TimeoutError:
            self._fleet.counts.findings.append(f"{self.name} did not stop when asked")
            await end(process)
        else:
            if code not in {0, AWAY, -signal.SIGKILL, -signal.SIGTERM}:
                self._fleet.ended(self.name, code)


class Fleet:
    """All processes of a run. Processors are numbered; of them ``scale`` keeps so many."""

    def __init__(self, group: asyncio.TaskGroup, folder: Path) -> None:
        self._group, self._folder = group, folder
        self.counts = Counts()
        self._processors: list[Kept] = []
        self._keeping: list[asyncio.Task[None]] = []
        self._number = 0
        self._trouble_until_s = 0.0

    def trouble(self) -> None:
        """Say that for a while a start may find no log."""
        self._trouble_until_s = asyncio.get_running_loop().time() + _TROUBLE_S

    def ended(self, name: str, code: int) -> None:
        """Judge an end that nobody asked for."""
        in_trouble = asyncio.get_running_loop().time() < self._trouble_until_s
        if code == AWAY and in_trouble:
            self.counts.starts_refused += 1
            return
        said = (self._folder / f"{name}.log").read_text(errors="replace")[-1_500:]
        self.counts.findings.append(f"{name} ended by itself with {code}: {said}")

    def keep(self, name: str, *command: str) -> Kept:
        """Start a process and keep it running."""
        kept = Kept(name, command, folder=self._folder, fleet=self)
        self._keeping.append(self._group.create_task(kept.keep(), name=f"keep {name}"))
        return kept

    def let_go(self) -> None:
        """Kill whatever still runs."""
        for task in self._keeping:
            task.cancel()

    def picked(self, pick: int) -> Kept:
        """Return one of the processors."""
        return self._processors[pick % len(self._processors)]

    async def scale(self, count: int, *command: str) -> None:
        """Have so many processors; the oldest are stopped first."""
        while len(self._processors) < count:
            self._number += 1
            name = f"processor-{self._number}"
            self._processors.append(self.keep(name, *command, name))
        while len(self._processors) > count:
            await self._processors.pop(0).stop()


@asynccontextmanager
async def open_fleet(folder: Path) -> AsyncIterator[Fleet]:
    """Have a fleet; at the end every process of it is killed."""
    async with asyncio.TaskGroup() as group:
        fleet = Fleet(group, folder)
        yield fleet
        fleet.let_go()
