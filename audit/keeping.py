"""The index kept up to date as the log grows, beside what verifies it."""

import logging
from pathlib import Path

from audit.errors import IndexUnusable
from audit.index import open_index
from audit.indexing import extend_index
from eventlog.port import EventLog, LogError
from runtime.clock import Clock
from schemas.log import LogIdentity

logger = logging.getLogger(__name__)

EVERY_S = 30.0


async def keep_index(
    log: EventLog, identity: LogIdentity, path: Path, clock: Clock
) -> None:
    """Extend the index of all shards every half minute, until cancelled.

    Whatever is in the way is said, once as long as it is the same, and tried again: who
    asks would only have to index what is missing.
    """
    trouble = None
    while True:
        try:
            await _extend(log, identity, path)
        except (LogError, IndexUnusable, OSError) as error:
            if f"{error}" != trouble:
                trouble = f"{error}"
                logger.warning("index not extended", extra={"error": trouble})
        else:
            if trouble is not None:
                logger.info("index extended again")
            trouble = None
        await clock.sleep(EVERY_S)


async def _extend(log: EventLog, identity: LogIdentity, path: Path) -> None:
    with open_index(path, log_id=identity.id) as index:
        for shard in range(identity.partitions):
            await extend_index(log, index, shard)
