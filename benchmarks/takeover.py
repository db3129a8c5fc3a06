"""How long a shard waits for its next commit when its processor is killed with -9.

Two processors as an operator runs them share the shards of a log, and every shard has new
observations every 20 ms. One processor is killed; what is measured is the longest that an
observation stood in the log before the commit that read it was seen, apart for the shards
of the one killed and for those of the other. Then one is started in its place, and when
both serve, the other is killed.
"""

import asyncio
import json
import re
import time
from collections import defaultdict
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

import httpx

from benchmarks import new_prefix
from benchmarks.logs import opened
from benchmarks.market import observations
from benchmarks.results import Result
from eventlog.partition import partition_of
from eventlog.port import Entry, EventLog, Partition
from schemas.topics import JOURNAL, PRICES_RAW
from tests.support.deployment import Deployment, Instance, deployment
from tests.support.processes import run

_TOKENS, _EVERY_S, _LOOK_S, _LIMIT_S = 40, 0.02, 0.05, 90.0
# For so long after the kill it is watched in any case whether another shard stops.
_AFTER_S = 1.0
_SERVED = re.compile(r'stacks_feed_shard_position\{shard="(\d+)"')


def sqlite_takeover(folder: Path, *, rounds: int) -> list[Result]:
    """Measure on an embedded log."""
    place = str(folder / "takeover.sqlite")
    trial = _Trial("sqlite", 2, {"sqlite": place}, {"log": place})
    return _results(trial, folder, rounds=rounds, goal_s=1.0)


def kafka_takeover(bootstrap: str, folder: Path, *, rounds: int) -> list[Result]:
    """Measure on a broker, with the time-out of members that is the default."""
    prefix = new_prefix("takeover")
    settings = {
        "log": f"kafka://{bootstrap}",
        "log_prefix": prefix,
        "environment": "development",
    }
    log = {"kafka": bootstrap, "prefix": prefix}
    trial = _Trial("kafka", 6, log, settings)
    return _results(trial, folder, rounds=rounds, goal_s=15.0)


@dataclass(frozen=True, slots=True)
class _Trial:
    """A log: its kind, its partitions, and how we and how a processor open it."""

    name: str
    partitions: int
    log: dict[str, Any]
    settings: dict[str, str]


@dataclass(frozen=True, slots=True)
class Taken:
    """The longest waits after one kill: in its own shards, and in those of the other."""

    lost_s: float
    kept_s: float


def _results(
    trial: _Trial, folder: Path, *, rounds: int, goal_s: float
) -> list[Result]:
    cwd = folder / f"takeover-{trial.name}"
    cwd.mkdir()
    taken = asyncio.run(_kill_in_turn(trial, cwd, rounds))
    lost, kept = [each.lost_s for each in taken], [each.kept_s for each in taken]
    return [
        Result(
            name=f"{trial.name} takeover",
            value=max(lost),
            unit=f"s at most in {rounds} kills, {median(lost):.2f} in the middle",
            goal=goal_s,
            of="value",
        ),
        Result(
            name=f"{trial.name} takeover: the other's shards",
            value=max(kept),
            unit=f"s at most in {rounds} kills, {median(kept):.2f} in the middle",
        ),
    ]


class _Waits:
    """What was appended and not yet read by a commit, and the longest wait of a shard."""

    def __init__(self, partitions: int) -> None:
        self._waiting: dict[int, dict[int, float]] = {n: {} for n in range(partitions)}
        self.longest_s: dict[int, float] = defaultdict(float)

    def appended(self, shard: int, offset: int) -> None:
        self._waiting[shard][offset] = time.monotonic()

    def committed(self, shard: int, end: int) -> None:
        """Take it that all before ``end`` was read by a commit that is seen now."""
        waiting, now_s = self._waiting[shard], time.monotonic()
        for offset in [offset for offset in waiting if offset < end]:
            waited_s = now_s - waiting.pop(offset)
            self.longest_s[shard] = max(self.longest_s[shard], waited_s)

    async def served_past(self, moment_s: float) -> None:
        """Wait until of every shard all that was appended before a moment is read."""
        async with asyncio.timeout(_LIMIT_S):
            while time.monotonic() < moment_s or self._oldest_s() < moment_s:
                await asyncio.sleep(_LOOK_S)

    def _oldest_s(self) -> float:
        waiting = [at_s for each in self._waiting.values() for at_s in each.values()]
        return min(waiting, default=time.monotonic())


async def _kill_in_turn(trial: _Trial, cwd: Path, rounds: int) -> list[Taken]:
    waits = _Waits(trial.partitions)
    async with (
        opened(trial.log) as log,
        deployment(cwd, **trial.settings) as deployed,
        asyncio.TaskGroup() as group,
    ):
        await _prepare(trial, cwd)
        tasks = [
            group.create_task(_append(log, waits, trial.partitions)),
            group.create_task(_watch(log, waits, trial.partitions)),
        ]
        for _ in range(2):
            await deployed.start("processor")
        taken = [await _kill(deployed, waits, trial.partitions) for _ in range(rounds)]
        for task in tasks:
            task.cancel()
    return taken


async def _prepare(trial: _Trial, cwd: Path) -> None:
    settings = trial.settings | {"partitions": str(trial.partitions)}
    ended = await run("topics", "apply", cwd=cwd, **settings)
    if ended.code:
        raise AssertionError(ended.err)


async def _kill(deployed: Deployment, waits: _Waits, partitions: int) -> Taken:
    """Kill the one that has run longest, and start another when all is served again."""
    killed, other = deployed.living()
    lost = await _share(killed, other, partitions)
    waits.longest_s.clear()
    await killed.killed()
    await waits.served_past(time.monotonic() + _AFTER_S)
    longest_s = dict(waits.longest_s)
    await deployed.start("processor")
    return Taken(
        lost_s=max(longest_s.pop(shard) for shard in lost),
        kept_s=max(longest_s.values()),
    )


async def _share(killed: Instance, other: Instance, partitions: int) -> frozenset[int]:
    """Wait until two share all shards; return those of the first."""
    everything = frozenset(range(partitions))
    async with asyncio.timeout(_LIMIT_S):
        while True:
            first, second = await _served(killed), await _served(other)
            if first and second and first | second == everything and not first & second:
                return first
            await asyncio.sleep(_LOOK_S)


async def _served(processor: Instance) -> frozenset[int]:
    try:
        async with httpx.AsyncClient() as http:
            text = (await http.get(f"{processor.url}/metrics")).text
    except httpx.TransportError:  # it does not listen yet
        return frozenset()
    return frozenset(map(int, _SERVED.findall(text)))


async def _append(log: EventLog, waits: _Waits, partitions: int) -> None:
    said = observations(2**40, tokens=_TOKENS)
    while True:
        entries = [
            (partition_of(key, partitions), Entry(key, value))
            for key, value in islice(said, _TOKENS)
        ]
        offsets = await log.append(PRICES_RAW, entries)
        for (shard, _), offset in zip(entries, offsets, strict=True):
            waits.appended(shard, offset)
        await asyncio.sleep(_EVERY_S)


async def _watch(log: EventLog, waits: _Waits, partitions: int) -> None:
    journals = [Partition(JOURNAL, shard) for shard in range(partitions)]
    async with log.reader(dict.fromkeys(journals, 0)) as reader:
        while True:
            batches = await reader.read(max_records=1_000, wait_s=1.0)
            for journal, records in batches.items():
                inputs = json.loads(records[-1].value or b"")["inputs"]
                if PRICES_RAW in inputs:
                    waits.committed(journal.number, inputs[PRICES_RAW]["end"])
