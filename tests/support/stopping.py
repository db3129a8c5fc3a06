"""Edges that a test starts, tells to stop, and tells again."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from edge.service import Edge, running
from eventlog.port import EventLog
from tests.support.serving import (
    LONG_S,
    NOW_MS,
    PARTITIONS,
    Serving,
    StallingClock,
    config_of,
)


@dataclass
class Stoppable(Serving):
    """A running edge in a task of its own, stopped as the supervisor does it."""

    task: "asyncio.Task[None]" = field(kw_only=True)

    def stop(self) -> None:
        """Tell it to stop; the second time, at once."""
        self.task.cancel()

    async def stopped(self) -> None:
        """Wait until it has ended."""
        async with asyncio.timeout(LONG_S):
            await asyncio.wait([self.task])


@dataclass
class Yard:
    """A place for several edges over one log, by one clock."""

    group: asyncio.TaskGroup
    clock: StallingClock = field(default_factory=lambda: StallingClock(NOW_MS))
    tasks: list["asyncio.Task[None]"] = field(default_factory=list)

    async def start(
        self,
        log: EventLog,
        *,
        draw: Callable[[], float] = lambda: 0.0,
        read: bool = True,
        **settings: Any,
    ) -> Stoppable:
        """Start an edge; wait until it has ``read`` the table."""
        started: asyncio.Future[Edge] = asyncio.get_running_loop().create_future()
        config = config_of(**settings)

        async def run() -> None:
            opened = running(
                log, config, partitions=PARTITIONS, clock=self.clock, draw=draw
            )
            async with opened as edge:
                started.set_result(edge)
                await asyncio.Event().wait()

        task = self.group.create_task(run(), name="edge")
        self.tasks.append(task)
        async with asyncio.timeout(LONG_S):
            edge = await started
            if read:
                await edge.caught_up.wait()
        return Stoppable(log, edge, self.clock, task=task)

    async def clear(self) -> None:
        """Stop those that run, at once."""
        for task in self.tasks:
            while not task.done():
                task.cancel()
                await asyncio.sleep(0)


@asynccontextmanager
async def a_yard() -> AsyncIterator[Yard]:
    """Give room for edges; at the end those that run are stopped at once."""
    async with asyncio.TaskGroup() as group:
        yard = Yard(group)
        try:
            yield yard
        finally:
            await yard.clear()
