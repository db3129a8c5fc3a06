"""Waiting for what may come and for what may not, without leaving a task behind."""

import asyncio
from collections.abc import Callable

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


class Arrivals:
    """Tells whoever waits that something has come."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: set[asyncio.Event] = set()

    def ring(self) -> None:
        """Let all who wait look again."""
        for event in self._waiting:
            event.set()

    async def until(self, reached: Callable[[], bool], *, seconds: float) -> None:
        """Return when ``reached`` says so, or after ``seconds``."""
        end_s = self._clock.monotonic_s() + seconds
        event = asyncio.Event()
        self._waiting.add(event)
        try:
            while not reached() and (left_s := end_s - self._clock.monotonic_s()) > 0:
                await sleep_or(self._clock, left_s, event)
        finally:
            self._waiting.discard(event)
