"""Where the log stands: the newest moment of observation that counts."""

from collections.abc import Iterable

from eventlog.port import EventLog, Partition, Record, read_to
from ingest.core.history import newest_moment
from schemas.topics import RAW

# So many records at the end of each partition are looked at.
_TAIL = 200
# The fold takes nothing that is further past its append time (unless told otherwise).
FUTURE_MS = 60_000


async def newest_moment_of(log: EventLog, shards: Iterable[int]) -> int:
    """Return the newest moment at the ends of the raw topics of some shards; 0 if none.

    Moments that the fold refuses as future do not count. Raises ``LogUnavailable``, and
    ``OffsetOutOfRange`` when retention was quicker.
    """
    parts = [Partition(topic, shard) for topic in RAW for shard in sorted(shards)]
    oldest, ends = await log.oldest(parts), await log.ends(parts)
    tails = {part: max(oldest[part], ends[part] - _TAIL) for part in parts}
    newest = 0
    async with log.reader(tails) as reader:
        async for batches in read_to(reader, ends):
            records = (r for records in batches.values() for r in records)
            newest = max(newest, *map(_counting_moment, records))
    return newest


def _counting_moment(record: Record) -> int:
    moment = newest_moment(record.value)
    return moment if moment <= record.time_ms + FUTURE_MS else 0
