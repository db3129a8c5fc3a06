"""Where time comes from; a test hands in a clock that moves by hand."""

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """Measures time and waits."""

    def monotonic_s(self) -> float:
        """Return seconds from some fixed moment; never steps back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after ``seconds``; at the next turn of the loop if that is not above 0."""
        ...


class SystemClock:
    """The clock of this machine."""

    def monotonic_s(self) -> float:
        """Return seconds since some moment of this machine's run."""
        return time.monotonic()  # noqa: TID251 - the one place

    async def sleep(self, seconds: float) -> None:
        """Sleep on the event loop."""
        await asyncio.sleep(max(seconds, 0))
