"""Where a shard's history begins that can be derived: with the first commit, or later."""

from collections.abc import Mapping
from typing import NamedTuple

from audit.commits import oldest_needed
from audit.errors import HistoryGone
from audit.snapshots import FoundSnapshot, oldest_usable
from eventlog.port import EventLog
from schemas.snapshots import declared_in
from schemas.topics import CHANGES, JOURNAL


class Beginning(NamedTuple):
    """The snapshot with which history begins; ``None``: it begins with the first commit.

    ``oldest`` is, by topic, the offset below which retention dropped everything.
    """

    found: FoundSnapshot | None
    oldest: Mapping[str, int]

    @property
    def commit(self) -> int:
        """The last commit that cannot be derived; 0: all can."""
        return self.found.header.commit if self.found else 0

    @property
    def declared(self) -> int:
        """The commit of the declared point that history stands on; 0: on none."""
        return declared_in(self.found.header) if self.found else 0


async def beginning_of(log: EventLog, shard: int) -> Beginning:
    """Return where the history of a shard begins.

    Raises ``HistoryGone`` where commits are gone and no snapshot stands in for them. What
    they read may be gone without that: whoever reads it must look (``check_held``).
    """
    oldest = await oldest_needed(log, shard)
    if not any(oldest.values()):
        return Beginning(None, oldest)
    found = await oldest_usable(log, shard, oldest)
    if found is None:
        for topic in (JOURNAL, CHANGES):
            if oldest[topic]:
                raise HistoryGone(topic, shard, oldest=oldest[topic])
    return Beginning(found, oldest)
