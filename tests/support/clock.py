"""A clock that moves when the test says so."""

import asyncio
import heapq
import itertools


class ManualClock:
    """Stands still until ``advance``; a sleeper wakes when its moment has come."""

    def __init__(self, now_ms: int = 1_700_000_000_000) -> None:
        self._now_ms = now_ms
        self._elapsed_s = 0.0
        self._numbers = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._someone_sleeps = asyncio.Event()

    def now_ms(self) -> int:
        return self._now_ms + round(self._elapsed_s * 1_000)

    def monotonic_s(self) -> float:
        return self._elapsed_s

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        wake: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        due_s = self._elapsed_s + seconds
        heapq.heappush(self._sleepers, (due_s, next(self._numbers), wake))
        self._someone_sleeps.set()
        await wake

    @property
    def sleepers(self) -> int:
        """How many are asleep now."""
        return sum(not wake.done() for _, _, wake in self._sleepers)

    def step_wall_clock(self, by_ms: int) -> None:
        """Move the wall time alone, as an operator or a time server would."""
        self._now_ms += by_ms

    async def advance(self, seconds: float) -> None:
        """Move on; wake sleepers in the order they are due and let each run.

        A sleeper that sleeps again within ``seconds`` is woken again.
        """
        until_s = self._elapsed_s + seconds
        while self._sleepers and self._sleepers[0][0] <= until_s:
            due_s, _, wake = heapq.heappop(self._sleepers)
            self._elapsed_s = max(self._elapsed_s, due_s)
            if not wake.done():
                wake.set_result(None)
                await settle()
        self._elapsed_s = until_s
        await settle()

    async def until_asleep(self, count: int = 1) -> None:
        """Return when at least ``count`` are asleep."""
        while self.sleepers < count:
            self._someone_sleeps.clear()
            await self._someone_sleeps.wait()


async def settle(turns: int = 20) -> None:
    """Let tasks that can run do so for some turns of the loop."""
    for _ in range(turns):
        await asyncio.sleep(0)
