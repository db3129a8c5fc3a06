"""The verdict on a whole run: every shard judged, each in a process of its own."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.results import commit
from eventlog.port import EventLog, Partition
from tests.chaos.judge import READ, WRONG, Judgement, Seen, Standing, judge
from tests.chaos.stage import SHARDS, open_log
from tests.chaos.trouble import Done
from tests.chaos.watcher import WATCHED, Watcher
from tests.chaos.writer import Acknowledged, acknowledged
from tests.support.logs import Place, read_all

_JUDGES = 2


async def judged(place: Place, watcher: Watcher, notes: Path | None) -> Judgement:
    """Judge what stands at a place, what was seen there and what was promised."""
    promised = list(acknowledged(notes)) if notes else []
    loop = asyncio.get_running_loop()
    whole = Judgement()
    # Spawned: a fork would take along the event loop with all its connections.
    with ProcessPoolExecutor(_JUDGES, mp_context=get_context("spawn")) as pool:
        judging = [
            loop.run_in_executor(
                pool, judge_at, place, shard, seen_of(watcher, shard, promised)
            )
            for shard in SHARDS
        ]
        for each in judging:
            whole.add(await each)
    return whole


def seen_of(
    watcher: Watcher, shard: int, promised: Sequence[Acknowledged] = ()
) -> Seen:
    """Return what a judge of one shard is told of what others know."""
    return Seen(
        [each for each in promised if each.shard == shard],
        {topic: watcher.trails[Partition(topic, shard)] for topic in WATCHED},
    )


def judge_at(place: Place, shard: int, seen: Seen) -> Judgement:
    """Read all of a shard and judge it."""
    return judge(shard, asyncio.run(_standing(place, shard)), seen)


async def _standing(place: Place, shard: int) -> Standing:
    async with open_log(place) as log:
        return await standing_in(log, shard)


async def standing_in(log: EventLog, shard: int) -> Standing:
    """Return all records of one shard that a judgement is about."""
    found = await read_all(log, [Partition(topic, shard) for topic in READ])
    return {at.topic: records for at, records in found.items()}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is said of a run, and whether it is well."""

    log: str
    seed: int
    minutes: float
    faults: int
    judgement: Judgement
    findings: Sequence[str] = ()

    @property
    def is_ok(self) -> bool:
        return self.judgement.is_ok and not self.findings

    def line(self) -> str:
        """Return the verdict in one line."""
        found = self.judgement
        counts = {
            "seed": self.seed,
            "minutes": f"{self.minutes:g}",
            "faults": self.faults,
            "observations": found.observations,
            "published": found.published,
            **{name: getattr(found, name) for name in WRONG},
        }
        word = "ok" if self.is_ok else "DAMAGED"
        return " ".join(
            ["VERDICT", word, *(f"{name}={count}" for name, count in counts.items())]
        )

    def result(self) -> dict[str, Any]:
        """Return what a report keeps of it."""
        kept = asdict(self.judgement)
        kept.pop("findings")
        return {
            "commit": commit(),
            "log": self.log,
            "seed": self.seed,
            "minutes": self.minutes,
            "faults": self.faults,
            **kept,
            "findings": len(self.findings),
            "ok": self.is_ok,
        }


def table(done: Sequence[Done], commits_s: dict[int, list[float]]) -> list[str]:
    """Return the faults by kind: how many, answers met, longest pause in commits."""
    rows = [f"{'fault':50} {'count':>5} {'met':>5} {'longest pause s':>16}"]
    for kind in dict.fromkeys(one.fault.kind for one in done):
        of_kind = [one for one in done if one.fault.kind is kind]
        pause_s = max(one.pause_s(commits_s) for one in of_kind)
        met = sum(one.met for one in of_kind)
        rows.append(f"{kind.value:50} {len(of_kind):5} {met:5} {pause_s:16.1f}")
    return rows
