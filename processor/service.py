"""The processor: which shards are this instance's, and a task that serves each."""

import asyncio
import logging

from eventlog.port import EventLog, Fenced, LogUnavailable, Membership
from processor.config import ProcessorConfig
from processor.shard import Shard
from runtime.clock import Clock
from runtime.health import Health

logger = logging.getLogger(__name__)

GROUP = "processor"


async def run(
    log: EventLog,
    config: ProcessorConfig,
    clock: Clock,
    *,
    health: Health | None = None,
) -> None:
    """Serve the shards that the group gives this instance, until cancelled.

    Trouble with the log is waited out. Raises, in an exception group, what stops a shard
    for good (see ``Shard.run``): then no shard is served any more.
    """
    processor = Processor(log, config, clock)
    if health is not None:
        health.add("shards", processor.trouble)
    await processor.run()


class Processor:
    """One instance: it serves a shard as long as it is the group's choice for it."""

    def __init__(self, log: EventLog, config: ProcessorConfig, clock: Clock) -> None:
        self._log, self._config, self._clock = log, config, clock
        # Of each shard that is ours what is not well with it, ``None`` when it is served.
        self._notices: dict[int, str | None] = {}
        self._joined = False

    def trouble(self) -> str | None:
        """Return which of our shards are not served and why; ``None`` if all are."""
        if not self._joined:
            return "this instance is not yet in the group"
        said = [f"shard {n}: {why}" for n, why in sorted(self._notices.items()) if why]
        return "; ".join(said) or None

    async def run(self) -> None:
        """Join the group, as often as it takes, and serve."""
        instance, wait_s = self._config.instance, self._config.max_backoff_s
        while True:
            try:
                async with self._log.member(GROUP, instance=instance) as membership:
                    await self.serve(membership)
            except LogUnavailable as error:
                logger.warning("cannot join the group", extra={"error": str(error)})
                await self._clock.sleep(wait_s)

    async def serve(self, membership: Membership) -> None:
        """Follow the group: shards that stay ours go on through a rebalance."""
        tasks: dict[int, asyncio.Task[None]] = {}
        async with asyncio.TaskGroup() as group:
            while True:
                shards = await membership.changed()
                self._joined = True
                logger.info("shards assigned", extra={"shards": sorted(shards)})
                await self._stop(tasks, tasks.keys() - shards)
                for shard in sorted(shards - tasks.keys()):
                    tasks[shard] = group.create_task(
                        self._serve_shard(shard, membership), name=f"shard {shard}"
                    )

    async def _stop(self, tasks: dict[int, asyncio.Task[None]], gone: set[int]) -> None:
        stopping = [tasks.pop(shard) for shard in gone]
        for task in stopping:
            task.cancel()
        if stopping:
            await asyncio.wait(stopping)

    async def _serve_shard(self, number: int, membership: Membership) -> None:
        """Serve a shard until it is taken from us, again whenever the fence fell wrongly.

        While a group settles, two instances may take a shard from one another.
        """

        def notice(why: str | None) -> None:
            self._notices[number] = why

        try:
            while True:
                shard = Shard(
                    self._log,
                    number,
                    config=self._config,
                    clock=self._clock,
                    notice=notice,
                )
                await self._until_fenced(shard, number)
                notice("another instance has taken it")
                await self._clock.sleep(self._config.fenced_s)
                while number not in membership.shards():
                    await self._clock.sleep(self._config.fenced_s)
        finally:
            self._notices.pop(number, None)

    async def _until_fenced(self, shard: Shard, number: int) -> None:
        try:
            await shard.run()
        except Fenced:
            logger.warning("shard lost to another owner", extra={"shard": number})
