"""The processor: which shards are this instance's, and a task that serves each."""

import logging
from functools import partial

from eventlog.port import EventLog, Fenced, Membership
from eventlog.sharing import Notice, Share
from processor.config import ProcessorConfig
from processor.doubts import PriceDoubts
from processor.shard import Reporting, Shard
from runtime.clock import Clock
from runtime.health import Health
from runtime.trouble import Trouble
from schemas.log import LogIdentity

logger = logging.getLogger(__name__)

GROUP = "processor"


async def run(
    log: EventLog,
    config: ProcessorConfig,
    clock: Clock,
    *,
    health: Health | None = None,
    identity: LogIdentity | None = None,
) -> None:
    """Serve the shards that the group gives this instance, until cancelled.

    ``identity`` is that of the log: every commit names it, and the owner of shard 0 keeps
    a copy of it in ``state``.
    Trouble with the log is waited out. Raises, in an exception group, what stops a shard
    for good (see ``Shard.run``): then no shard is served any more.
    """
    doubts = PriceDoubts(clock)
    processor = Processor(log, config, clock, doubts=doubts, identity=identity)
    share = Share(processor.serve, name="shard", new_trouble=Trouble)
    if health is not None:
        health.add("shards", share.trouble)
        doubts.show_in(health)
    await share.keep(
        partial(log.member, GROUP, instance=config.instance),
        pause=partial(clock.sleep, config.max_backoff_s),
    )


class Processor:
    """One instance: it serves a shard as long as it is the group's choice for it."""

    def __init__(
        self,
        log: EventLog,
        config: ProcessorConfig,
        clock: Clock,
        *,
        doubts: PriceDoubts,
        identity: LogIdentity | None = None,
    ) -> None:
        self._log, self._config, self._clock = log, config, clock
        self._doubts, self._identity = doubts, identity

    async def serve(self, number: int, membership: Membership, notice: Notice) -> None:
        """Serve a shard until cancelled, again whenever the fence fell wrongly.

        While a group settles, two instances may take a shard from one another.
        """
        log, config, clock = self._log, self._config, self._clock
        while True:
            shard = Shard(
                log,
                number,
                config=config,
                clock=clock,
                reporting=Reporting(notice, self._doubts),
                identity=self._identity,
            )
            try:
                await shard.run()
            except Fenced:
                logger.warning("shard lost to another owner", extra={"shard": number})
            notice("another instance has taken it")
            await clock.sleep(config.fenced_s)
            while number not in membership.shards():
                await clock.sleep(config.fenced_s)
