"""Waiting for the first of two things, without leaving a task behind."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from runtime.clock import Clock


async def sleep_or(clock: Clock, seconds: float, event: asyncio.Event) -> None:
    """Return after ``seconds``, or when ``event`` is set; the event is clear then."""
    if not event.is_set():
        async with asyncio.TaskGroup() as group:
            sleeping = group.create_task(clock.sleep(seconds), name="sleep")
            waiting = group.create_task(event.wait(), name="wait for event")
            await asyncio.wait({sleeping, waiting}, return_when=asyncio.FIRST_COMPLETED)
            sleeping.cancel()
            waiting.cancel()
    event.clear()


async def run_until(
    event: asyncio.Event, work: Coroutine[Any, Any, None], *, name: str
) -> None:
    """Run ``work`` until ``event`` is set; what it raises comes out at once."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(work, name=name)
        await event.wait()
        task.cancel()
