"""Where time comes from: shells ask a clock and hand the answer down."""

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """Tells the time and waits; tests hand in one that moves by hand."""

    def now_ms(self) -> int:
        """Return the wall time in milliseconds since 1970; it may step either way."""
        ...

    def monotonic_s(self) -> float:
        """Return seconds from some fixed moment; never steps back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after ``seconds``; at the next turn of the loop if that is not above 0."""
        ...


class SystemClock:
    """The clock of this machine."""

    def now_ms(self) -> int:
        """Return the wall time in milliseconds since 1970."""
        return time.time_ns() // 1_000_000

    def monotonic_s(self) -> float:
        """Return seconds since some moment of this machine's run."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Sleep on the event loop."""
        await asyncio.sleep(max(seconds, 0))
