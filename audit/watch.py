"""The log verified as it grows: which shards are this instance's, and a task for each."""

import asyncio
import logging

from audit.config import WatchConfig
from audit.watching import Watching
from eventlog.port import EventLog, LogUnavailable, Membership
from runtime.clock import Clock
from runtime.health import Health

logger = logging.getLogger(__name__)

GROUP = "audit"


async def run(
    log: EventLog,
    config: WatchConfig,
    clock: Clock,
    *,
    health: Health | None = None,
) -> None:
    """Verify the shards that the group gives this instance, until cancelled.

    Trouble with the log is waited out. Raises, in an exception group, what ends it for
    good, a ``DifferenceFound`` first of all (see ``Watching.run``).
    """
    watch = Watch(log, config, clock)
    if health is not None:
        health.add("shards", watch.trouble)
    await watch.run()


class Watch:
    """One instance: it follows a shard as long as it is the group's choice for it."""

    def __init__(self, log: EventLog, config: WatchConfig, clock: Clock) -> None:
        self._log, self._config, self._clock = log, config, clock
        self._notices: dict[int, str | None] = {}
        self._joined = False

    def trouble(self) -> str | None:
        """Return which of our shards are not followed and why; ``None`` if all are."""
        if not self._joined:
            return "this instance is not yet in the group"
        said = [f"shard {n}: {why}" for n, why in sorted(self._notices.items()) if why]
        return "; ".join(said) or None

    async def run(self) -> None:
        """Join the group, as often as it takes, and follow."""
        while True:
            try:
                async with self._log.member(
                    GROUP, instance=self._config.instance
                ) as membership:
                    await self.follow(membership)
            except LogUnavailable as error:
                logger.warning("cannot join the group", extra={"error": str(error)})
                await self._clock.sleep(self._config.max_backoff_s)

    async def follow(self, membership: Membership) -> None:
        """Follow the group: shards that stay ours go on through a rebalance."""
        tasks: dict[int, asyncio.Task[None]] = {}
        async with asyncio.TaskGroup() as group:
            while True:
                shards = await membership.changed()
                self._joined = True
                logger.info("shards assigned", extra={"shards": sorted(shards)})
                gone = [tasks.pop(shard) for shard in tasks.keys() - shards]
                for task in gone:
                    task.cancel()
                if gone:
                    await asyncio.wait(gone)
                for shard in sorted(shards - tasks.keys()):
                    tasks[shard] = group.create_task(
                        self._watch(shard), name=f"audit of shard {shard}"
                    )

    async def _watch(self, number: int) -> None:
        def notice(why: str | None) -> None:
            self._notices[number] = why

        try:
            await Watching(
                self._log,
                number,
                config=self._config,
                clock=self._clock,
                notice=notice,
            ).run()
        finally:
            self._notices.pop(number, None)
