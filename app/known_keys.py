"""The published table as it is now."""

from collections.abc import Mapping
from itertools import chain

from app.bootstrap import Opened
from eventlog.port import Partition, Record, read_to
from schemas.topics import LATEST


async def newest_records(opened: Opened) -> Mapping[bytes, Record]:
    """Return the newest record of each key that has a value."""
    parts = [Partition(LATEST, n) for n in range(opened.identity.partitions)]
    start, ends = await opened.log.oldest(parts), await opened.log.ends(parts)
    table: dict[bytes, Record] = {}
    async with opened.log.reader(start) as reader:
        async for batches in read_to(reader, ends):
            for record in chain.from_iterable(batches.values()):
                table[record.key or b""] = record
    return {key: record for key, record in table.items() if record.value is not None}


async def known_keys(opened: Opened) -> frozenset[bytes]:
    """Return the keys that have a value."""
    return frozenset(await newest_records(opened))
