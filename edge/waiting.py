"""Waiting for the first of two things, without leaving a task behind."""

import asyncio

from runtime.clock import Clock


async def sleep_or(clock: Clock, seconds: float | None, event: asyncio.Event) -> None:
    """Return after ``seconds`` (``None`` is never), or when ``event`` is set.

    The event is clear then.
    """
    if seconds is None:
        await event.wait()
    elif seconds > 0 and not event.is_set():
        async with asyncio.TaskGroup() as group:
            sleeping = group.create_task(clock.sleep(seconds), name="sleep")
            waiting = group.create_task(event.wait(), name="wait for event")
            await asyncio.wait({sleeping, waiting}, return_when=asyncio.FIRST_COMPLETED)
            sleeping.cancel()
            waiting.cancel()
    event.clear()
