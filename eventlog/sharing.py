"""The shards that a group gives this instance, and a task for each."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any

from eventlog.port import LogUnavailable, Membership
from eventlog.trouble import EachTime, NewTrouble

logger = logging.getLogger(__name__)

# Told what is not well with a shard, ``None`` when all is.
Notice = Callable[[str | None], None]
# Works on one shard until cancelled.
Serve = Callable[[int, Membership, Notice], Coroutine[Any, Any, None]]


class Share:
    """One instance's work in a group: ``serve`` runs as long as a shard is its own."""

    def __init__(
        self, serve: Serve, *, name: str, new_trouble: NewTrouble = EachTime
    ) -> None:
        self._serve, self._name = serve, name
        self._away = new_trouble(logger, "cannot join the group", "in the group again")
        # Of each shard that is ours what is not well with it.
        self._notices: dict[int, str | None] = {}
        self._joined = False

    @property
    def shards(self) -> frozenset[int]:
        """The shards that are worked on."""
        return frozenset(self._notices)

    def trouble(self) -> str | None:
        """Return which of our shards are not served and why; ``None`` if all are."""
        if not self._joined:
            return "this instance is not yet in the group"
        said = [f"shard {n}: {why}" for n, why in sorted(self._notices.items()) if why]
        return "; ".join(said) or None

    async def keep(
        self,
        join: Callable[[], AbstractAsyncContextManager[Membership]],
        *,
        pause: Callable[[], Awaitable[None]],
    ) -> None:
        """Join the group, as often as it takes with a pause between, and follow it.

        Until cancelled. Raises, in an exception group, what ended the work on a shard:
        then none is worked on any more.
        """
        while True:
            try:
                async with join() as membership:
                    self._away.over()
                    await self.follow(membership)
            except LogUnavailable as error:
                self._away.happened(error=str(error))
                await pause()

    async def follow(self, membership: Membership) -> None:
        """Follow the group: shards that stay ours go on through a rebalance."""
        tasks: dict[int, asyncio.Task[None]] = {}
        async with asyncio.TaskGroup() as group:
            while True:
                shards = await membership.changed()
                self._joined = True
                logger.info("shards assigned", extra={"shards": sorted(shards)})
                await _stop([tasks.pop(shard) for shard in tasks.keys() - shards])
                for shard in sorted(shards - tasks.keys()):
                    tasks[shard] = group.create_task(
                        self._work(shard, membership), name=f"{self._name} {shard}"
                    )

    async def _work(self, shard: int, membership: Membership) -> None:
        def notice(why: str | None) -> None:
            self._notices[shard] = why

        notice(None)
        try:
            await self._serve(shard, membership, notice)
        finally:
            del self._notices[shard]


async def _stop(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
