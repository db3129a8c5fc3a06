"""Users nobody has watched for long: their balances are withdrawn."""

import logging
from collections.abc import Callable

from ingest.config import IngestConfig
from ingest.demand import Demand
from ingest.rounds import entries
from ingest.table import Table
from ingest.tools import Tools
from schemas.balances import UserForgotten
from schemas.ids import UserId

_logger = logging.getLogger("ingest.forgetting")
# At most so many in one go: each is a handful of tombstones for the processor.
_BATCH = 500


class Forgetting:
    """Appends ``forgotten`` for users with balances that nobody watched for long.

    When a user was last watched is the newest of what this process saw (a lease that
    ended) and of the published balances' moments. The latter move only when a balance
    changes, so after a restart a user whose balances were quiet may be forgotten
    sooner; one who is watched never is, because nobody is forgotten before this process
    has seen the leases for longer than any lease lasts.
    """

    def __init__(
        self,
        demand: Demand,
        *,
        table: Callable[[], Table],
        config: IngestConfig,
        tools: Tools,
    ) -> None:
        self._demand, self._table = demand, table
        self._after_ms = round(config.forget_after_s * 1000)
        self._grace_s = config.forget_grace_s
        self._tools = tools
        # Until the tombstones are back, nobody is forgotten twice.
        self._done: dict[UserId, int] = {}

    async def run(self) -> None:
        """Look for such users every so often, for ever."""
        await self._demand.ready.wait()
        while True:
            await self._tools.clock.sleep(self._grace_s)
            await self._forget(self._overdue())

    def _overdue(self) -> list[UserId]:
        now_ms = self._tools.clock.now_ms()
        watch = self._demand.watch
        seen = self._table().seen_ms()
        self._done = {user: at for user, at in self._done.items() if user in seen}
        overdue = [
            user
            for user, seen_ms in seen.items()
            if not watch.wanted(user)
            and now_ms - max(seen_ms, watch.left_ms(user)) > self._after_ms
            and self._done.get(user, -1) < seen_ms
        ]
        watch.drop_left(before_ms=now_ms - self._after_ms)
        return overdue[:_BATCH]

    async def _forget(self, users: list[UserId]) -> None:
        await self._tools.moments.in_step()
        moment = self._tools.moments.next_ms()
        forgotten = [UserForgotten(user_id=user, observed_at=moment) for user in users]
        await self._tools.writer.write(entries(forgotten, "forgotten"))
        self._done.update(dict.fromkeys(users, moment))
        if users:
            _logger.info("users forgotten", extra={"users": len(users)})
