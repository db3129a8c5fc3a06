"""Where the log stands: the newest moments of observation that count."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from eventlog.port import EventLog, Partition, Record, read_to
from ingest.core.history import newest_moment
from schemas.base import Malformed, decoder
from schemas.prices import PriceObserved
from schemas.topics import PRICES_RAW, RAW

# So many records at the end of each partition are looked at.
_TAIL = 200
# The fold takes nothing that is further past its append time (unless told otherwise).
FUTURE_MS = 60_000
# How many of the newest prices of a partition are looked at to tell the age of sources.
_PRICES = 20_000
_price = decoder(PriceObserved)


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


@dataclass(slots=True)
class PriceMoments:
    """When each source gave its newest price, as far back as was looked.

    ``since_ms`` is the oldest moment that was looked at, ``None`` if there is no price. A
    source that is missing from ``newest_ms`` gave none since then.
    """

    newest_ms: dict[str, int] = field(default_factory=dict)
    since_ms: int | None = None

    def take(self, record: Record) -> None:
        """Take a record of ``prices.raw``."""
        said: PriceObserved | Malformed = _price(record.value or b"")
        if isinstance(said, Malformed) or _counting_moment(record) == 0:
            return
        moment = said.observed_at
        self.newest_ms[said.source] = max(moment, self.newest_ms.get(said.source, 0))
        self.since_ms = min(moment, moment if self.since_ms is None else self.since_ms)


async def newest_prices(log: EventLog, shards: Iterable[int]) -> PriceMoments:
    """Look through the newest prices of some shards; raises as ``newest_moment_of``."""
    parts = [Partition(PRICES_RAW, shard) for shard in sorted(shards)]
    oldest, ends = await log.oldest(parts), await log.ends(parts)
    found = PriceMoments()
    starts = {part: max(oldest[part], ends[part] - _PRICES) for part in parts}
    async with log.reader(starts) as reader:
        async for batches in read_to(reader, ends):
            for record in (r for records in batches.values() for r in records):
                found.take(record)
    return found


def _counting_moment(record: Record) -> int:
    moment = newest_moment(record.value)
    return moment if moment <= record.time_ms + FUTURE_MS else 0
