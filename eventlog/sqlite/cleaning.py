"""The thread in which the owner of shard 0 lets the log forget."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from eventlog.port import Fenced, LogError

from .cleaner import Allowed, clean
from .config import SqliteConfig
from .pace import Pace
from .session import Session
from .worker import open_worker

logger = logging.getLogger(__name__)

# Between two slices: time for the commits that wait, more than a slice takes.
_PAUSE_S = 0.003


@asynccontextmanager
async def cleaning(config: SqliteConfig, allowed: Allowed) -> AsyncIterator[None]:
    """Forget what is due while the body runs."""
    pace = Pace()
    async with open_worker("cleaner", config) as worker:
        running = worker.start(lambda session: _clean_on(session, allowed, pace))
        try:
            yield
        finally:
            pace.stop()
            await running


def _clean_on(session: Session, allowed: Allowed, pace: Pace) -> None:
    trouble = session.config.new_trouble(logger, "log not cleaned", "log cleaned again")
    while pace.goes_on(after_s=session.config.clean_every_s):
        try:
            _clean_once(session, allowed, pace)
        except Fenced:
            return  # the new owner goes on with it
        except LogError as error:
            trouble.happened(error=str(error))
        else:
            trouble.over()


def _clean_once(session: Session, allowed: Allowed, pace: Pace) -> None:
    for _ in clean(session, allowed):
        session.config.on_step("slice-made")
        if not pace.goes_on(after_s=_PAUSE_S):
            return
