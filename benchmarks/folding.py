"""The processor's fold of prices over a filled log, and Quix Streams doing the same.

Module ``quix`` has the peer's trial: it runs in an environment of its own.
"""

import asyncio
import shutil
from itertools import islice
from typing import Any

from prometheus_client import REGISTRY

from app.topics import specs
from benchmarks.logs import BATCH, opened
from benchmarks.market import observations
from benchmarks.trial import start
from eventlog.port import Entry, EventLog, Partition, read_to
from processor.config import ProcessorConfig
from processor.shard import Reporting, Shard
from runtime.clock import SystemClock
from schemas.topics import CHANGES, LATEST, PRICES_RAW

_LOOK_S = 0.01


async def fill(args: dict[str, Any]) -> int:
    """Create the topics and append ``count`` observations."""
    said = observations(args["count"])
    async with opened(args) as log:
        await log.create(specs(partitions=1, audit_days=0))
        while part := list(islice(said, BATCH)):
            entries = [(0, Entry(key, value)) for key, value in part]
            await log.append(PRICES_RAW, entries)
    return int(args["count"])


async def fold(args: dict[str, Any]) -> int:
    """Run the processor's shard from ready until it has committed all there is.

    ``copy_of`` is a filled file, so that every round starts from the same one.
    """
    if "copy_of" in args:
        shutil.copy(args["copy_of"], args["sqlite"])
    async with opened(args) as log:
        shard = Shard(
            log,
            0,
            config=ProcessorConfig(instance="bench"),
            clock=SystemClock(),
            reporting=Reporting(lambda trouble: start() if trouble is None else None),
        )
        async with asyncio.TaskGroup() as group:
            task = group.create_task(shard.run())
            await _committed(args["count"])
            task.cancel()
    return int(args["count"])


async def _committed(count: int) -> None:
    name, labels = "stacks_feed_commit_inputs_total", {"shard": "0"}
    while (REGISTRY.get_sample_value(name, labels) or 0) < count:
        await asyncio.sleep(_LOOK_S)


async def compare(args: dict[str, Any]) -> int:
    """Hold what the peer published to what we did; return how many values."""
    async with opened(args) as log:
        ours = [await _published(log, topic) for topic in (CHANGES, LATEST)]
    async with opened({**args, "prefix": args["peer_prefix"]}) as log:
        theirs = [await _published(log, topic) for topic in (CHANGES, LATEST)]
    if ours[0] != theirs[0]:
        sizes = [sum(map(len, values.values())) for values in (ours[0], theirs[0])]
        raise AssertionError(f"the peer published other changes: {sizes}")
    # A compacted topic may have lost all but the newest of each key.
    if [_newest(each) for each in ours] != [_newest(each) for each in theirs]:
        raise AssertionError("the peer's newest values are not ours")
    return sum(map(len, ours[0].values()))


def _newest(values: dict[bytes, list[bytes]]) -> dict[bytes, bytes]:
    return {key: said[-1] for key, said in values.items()}


async def _published(log: EventLog, topic: str) -> dict[bytes, list[bytes]]:
    """Return the prices in a topic, by key in their order."""
    partition = Partition(topic, 0)
    found: dict[bytes, list[bytes]] = {}
    async with log.reader(await log.oldest([partition])) as reader:
        async for batches in read_to(reader, await log.ends([partition])):
            for record in batches[partition]:
                if record.key is not None and record.key.startswith(b"price:"):
                    found.setdefault(record.key, []).append(record.value or b"")
    return found
