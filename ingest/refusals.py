"""Follows ``rejects``: what the processor did not take of us is not in the table."""

import logging
from collections.abc import Callable

from eventlog.port import Batches, EventLog, Record
from ingest.follower import follow_new
from ingest.tools import Tools
from runtime.metrics import REFUSED_READINGS
from schemas.base import Malformed, decoder
from schemas.ids import UserId, parse_user_id
from schemas.rejects import Reason, Reject
from schemas.topics import BALANCES_RAW, REJECTS

_logger = logging.getLogger("ingest.refusals")
_reject = decoder(Reject)
# The others are of records that ingest does not write.
_OURS = frozenset({Reason.FUTURE, Reason.CONFLICT, Reason.UNKNOWN_READING})


class Refusals:
    """Calls ``doubt`` with each user of whom a reading was refused.

    Ingest remembers what the log has of a user, to write no more than a confirmation of
    it. Where two instances read a user in turn, or a clock was wrong, the processor may
    hold another reading: then it refuses the confirmation, and would refuse the next.
    """

    def __init__(self, doubt: Callable[[UserId], None]) -> None:
        self._doubt = doubt

    async def run(self, log: EventLog, partitions: int, tools: Tools) -> None:
        """Follow what comes from now on, for ever."""
        await follow_new(
            log, REJECTS, partitions, taker=self, clock=tools.clock, draw=tools.draw
        )

    def take(self, batches: Batches) -> None:
        """Take the next records of ``rejects``."""
        for record in (r for records in batches.values() for r in records):
            self._take(record)

    def caught_up(self) -> None:
        """It makes no difference."""

    def _take(self, record: Record) -> None:
        refused: Reject | Malformed = _reject(record.value or b"")
        if isinstance(refused, Malformed):
            return
        user = parse_user_id((record.key or b"").decode(errors="replace"))
        if user is None or refused.origin.topic != BALANCES_RAW:
            return
        if refused.reason in _OURS:
            REFUSED_READINGS.labels(refused.reason.value).inc()
            _logger.info("reading refused", extra={"why": refused.reason.value})
            self._doubt(user)
