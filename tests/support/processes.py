"""Starts our command line as a child process and waits for what it does."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from tests.support.shared_data import ROOT

LIMIT_S = 20.0
_POLL_S = 0.02


class Ended(NamedTuple):
    """How a command ended and what it said."""

    code: int
    out: str
    err: str


def environment(settings: Mapping[str, object]) -> dict[str, str]:
    """Return an environment with these settings and no others of ours."""
    own = {k: v for k, v in os.environ.items() if not k.startswith("STACKS_FEED_")}  # noqa: TID251 - a child needs PATH and the like
    own["PYTHONPATH"] = str(ROOT)
    return own | {f"STACKS_FEED_{k.upper()}": f"{v}" for k, v in settings.items()}


async def start(*arguments: str, cwd: Path, **settings: object) -> Process:
    """Start ``stacks-feed`` with arguments and settings; the caller ends it."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "app",
        *arguments,
        cwd=cwd,
        env=environment(settings),
        stdout=PIPE,
        stderr=PIPE,
    )


async def run(*arguments: str, cwd: Path, **settings: object) -> Ended:
    """Run ``stacks-feed`` to its end, which must come soon."""
    process = await start(*arguments, cwd=cwd, **settings)
    return await ended(process, limit_s=LIMIT_S)


async def ended(process: Process, *, limit_s: float) -> Ended:
    """Wait for the end of a process."""
    async with asyncio.timeout(limit_s):
        out, err = await process.communicate()
    return Ended(process.returncode or 0, out.decode(), err.decode())


@asynccontextmanager
async def running(
    *arguments: str, cwd: Path, **settings: object
) -> AsyncIterator[Process]:
    """Keep a command running; at the end it is stopped, by force if it must be."""
    process = await start(*arguments, cwd=cwd, **settings)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        try:
            async with asyncio.timeout(LIMIT_S):
                await process.communicate()
        except TimeoutError:
            process.kill()
            await process.wait()


async def until(what: str, happened: Callable[[], object]) -> None:
    """Wait until another process has done something; fail with ``what`` if it does not."""
    try:
        async with asyncio.timeout(LIMIT_S):
            while not happened():  # noqa: ASYNC110 - other processes set no event of ours
                await asyncio.sleep(_POLL_S)
    except TimeoutError:
        raise AssertionError(f"did not happen: {what}") from None


async def happens(
    is_so: Callable[[], Awaitable[bool]],
    limit_s: float,
    what: str,
    *,
    every_s: float = _POLL_S,
) -> None:
    """Wait until another process answers so; fail with ``what`` if it does not."""
    try:
        async with asyncio.timeout(limit_s):
            while not await is_so():  # noqa: ASYNC110 - other processes set no event of ours
                await asyncio.sleep(every_s)
    except TimeoutError:
        raise AssertionError(f"did not happen: {what}") from None


def is_alive(pid: int) -> bool:
    """Tell whether a process runs (a zombie does not)."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"
