"""The log verified as it grows: which shards are this instance's, and a task for each."""

from functools import partial

from audit.config import WatchConfig
from audit.watching import Watching
from eventlog.port import EventLog, Membership
from eventlog.sharing import Notice, Share
from runtime.clock import Clock
from runtime.health import Health
from runtime.trouble import Trouble

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

    async def watch(shard: int, _: Membership, notice: Notice) -> None:
        watching = Watching(log, shard, config=config, clock=clock, notice=notice)
        await watching.run()

    share = Share(watch, name="audit of shard", new_trouble=Trouble)
    if health is not None:
        health.add("shards", share.trouble)
    await share.keep(
        partial(log.member, GROUP, instance=config.instance),
        pause=partial(clock.sleep, config.max_backoff_s),
    )
