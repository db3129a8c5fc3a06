"""What was published under a key, read from the public table."""

from typing import Any

import orjson

from eventlog.port import EventLog, Partition
from schemas.topics import LATEST
from tests.support.ingesting import PARTITIONS
from tests.support.logs import read_all


async def published(log: EventLog, key: bytes) -> list[dict[str, Any]]:
    """Return all values of a key that the log still holds, the newest last."""
    found = await read_all(log, [Partition(LATEST, n) for n in range(PARTITIONS)])
    return [
        orjson.loads(record.value)
        for records in found.values()
        for record in records
        if record.key == key and record.value
    ]
