"""A whole processor process at work on a long backlog, as an operator would run it."""

import asyncio
from functools import lru_cache
from itertools import islice
from typing import Any

from prometheus_client import REGISTRY

from app.topics import specs
from benchmarks.logs import BATCH, opened
from benchmarks.market import observations
from benchmarks.trial import EXTRA, start
from eventlog.partition import partition_of
from eventlog.port import Entry, EventLog, Partition
from processor import service
from processor.config import ProcessorConfig
from runtime.clock import SystemClock
from schemas.topics import PRICES_RAW

_LOOK_S = 0.05
_TOKENS = 600


async def fill(args: dict[str, Any]) -> int:
    """Create the topics with as many partitions as told, and append the observations."""
    partitions: int = args["partitions"]
    place = lru_cache(None)(partition_of)
    said = observations(args["count"], tokens=_TOKENS)
    async with opened(args) as log:
        await log.create(specs(partitions=partitions, audit_days=0))
        while part := list(islice(said, partitions * BATCH)):
            entries = [
                (place(key, partitions), Entry(key, value)) for key, value in part
            ]
            await log.append(PRICES_RAW, entries)
    return int(args["count"])


async def serve(args: dict[str, Any]) -> int:
    """Run the processor from its first shard until it has committed all there is."""
    config = ProcessorConfig(instance="bench")
    async with opened(args) as log, asyncio.TaskGroup() as group:
        serving = group.create_task(service.run(log, config, SystemClock()))
        await _until("stacks_feed_shards_owned", 1)
        start()
        await _until("stacks_feed_commit_inputs_total", args["count"])
        EXTRA["lag"] = await _lag(log, args["partitions"])
        serving.cancel()
    return int(args["count"])


async def _until(metric: str, least: float) -> None:
    while _total(metric) < least:
        await asyncio.sleep(_LOOK_S)


def _total(name: str, **labels: str) -> float:
    """Return a metric added up over its series with these labels."""
    return sum(
        sample.value
        for metric in REGISTRY.collect()
        for sample in metric.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


async def _lag(log: EventLog, partitions: int) -> float:
    """Return how many observations are in the log and in no commit."""
    ends = await log.ends([Partition(PRICES_RAW, n) for n in range(partitions)])
    done = _total("stacks_feed_shard_position", topic=PRICES_RAW)
    return sum(ends.values()) - done
