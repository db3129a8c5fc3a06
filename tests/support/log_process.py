"""Another process at a test's log: a program, and how a test starts and kills it."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from itertools import count
from threading import Event

from eventlog.port import Entry, EventLog
from tests.support.logs import RAW, TABLE, Place, append, entry, open_at, raw
from tests.support.shared_data import ROOT

GROUP = "group"


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


async def append_one(log: EventLog, text: str) -> None:
    await append(log, raw(0), text)
    say("done")


async def commit_one(log: EventLog, text: str) -> None:
    async with log.own(0) as writer:
        await writer.commit({RAW.name: [entry(text)], TABLE.name: [entry(text)]})
        say("done")


async def commit_on(log: EventLog, size: str) -> None:
    """Commit number after number, each many times to two topics; say each one done."""
    async with log.own(0) as writer:
        for number in count():
            part = [entry(str(number))] * int(size)
            await writer.commit({RAW.name: part, TABLE.name: part})
            say(str(number))


class Stuck(list[Entry]):
    """Entries that a writer can look through once; the second time it hangs."""

    looks = 0

    def __iter__(self) -> Iterator[Entry]:
        self.looks += 1
        if self.looks > 1:
            say("half")
            Event().wait()
        return super().__iter__()


async def commit_half(log: EventLog, text: str) -> None:
    """Hang in a commit when the records of one topic of two are written."""
    async with log.own(0) as writer:
        part = [entry(text)]
        await writer.commit({RAW.name: part, TABLE.name: Stuck(part)})


async def be_member(log: EventLog, instance: str) -> None:
    async with log.member(GROUP, instance=instance) as membership:
        while True:
            say(",".join(map(str, sorted(await membership.changed()))))


ACTIONS: dict[str, Callable[[EventLog, str], Coroutine[None, None, None]]] = {
    "append": append_one,
    "commit": commit_one,
    "commits": commit_on,
    "half": commit_half,
    "member": be_member,
}


async def main(kind: str, address: str, prefix: str, action: str, told: str) -> None:
    async with open_at(Place(kind, address, prefix)) as log:
        await ACTIONS[action](log, told)


class Process:
    """A running program at the log; it says one line after another."""

    def __init__(self, running: asyncio.subprocess.Process) -> None:
        self._running = running

    async def says(self) -> str:
        """Wait for the next line; empty when the process has ended."""
        assert self._running.stdout is not None
        return (await self._running.stdout.readline()).decode().strip()

    async def kill(self) -> None:
        """Kill it as ``kill -9`` does."""
        if self._running.returncode is None:
            self._running.kill()
        await self._running.wait()


@asynccontextmanager
async def process(place: Place, action: str, told: str) -> AsyncIterator[Process]:
    """Run an action in another process; kill it on exit if it still runs."""
    command = ["-m", "tests.support.log_process", place.kind, place.address]
    running = await asyncio.create_subprocess_exec(
        sys.executable,
        *command,
        place.prefix,
        action,
        told,
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    started = Process(running)
    try:
        yield started
    finally:
        await started.kill()
        # Read to the end: the transport closes with its pipe.
        while await started.says():
            pass


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
