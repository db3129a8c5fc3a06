"""``stacks-feed audit verify``: derive everything again and compare."""

import argparse
import asyncio
import gc
import multiprocessing
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import asdict
from queue import Empty
from time import perf_counter
from typing import Any, NamedTuple

import orjson

from app.audits import Progress, answering, bar, opened_to_ask
from app.bootstrap import Opened
from app.commands.service import overrides
from app.configs import accepted_gaps
from app.errors import AS_DERIVED, DIFFERENT, RequestError
from app.settings import Settings, read
from audit.bounds import Range, range_of
from audit.core.cuts import parse_bound
from audit.verify import ShardReport, VerifyConfig, verify_shard
from eventlog.port import EventLog, Partition
from schemas.topics import RAW

_POLL_S = 0.2
_COLLECT_EVERY = 50_000


class Job(NamedTuple):
    """One shard to verify, as it is handed to a process."""

    overrides: Mapping[str, object]
    shard: int
    range: Range


class Plan(NamedTuple):
    """The shards to verify and how many observations there are in them."""

    jobs: Sequence[Job]
    observations: int


def run(arguments: argparse.Namespace) -> int:
    """Verify the shards asked for; 0 if all is as derived, else 1."""
    with answering():
        started_s = perf_counter()
        settings = read(overrides(arguments))
        plan = asyncio.run(_plan(settings, arguments))
        count = min(arguments.jobs or os.cpu_count() or 1, len(plan.jobs))
        with bar("verifying", total=plan.observations) as progress:
            if count > 1:
                reports = _in_processes(plan.jobs, count, progress)
            else:
                reports = [_verified(job, progress) for job in plan.jobs]
        took_s = perf_counter() - started_s
    print(as_json(reports) if arguments.json else in_words(reports, took_s=took_s))
    different = any(report.difference for report in reports)
    return DIFFERENT if different else AS_DERIVED


async def _plan(settings: Settings, arguments: argparse.Namespace) -> Plan:
    """Find out what is asked for, in terms of this log."""
    first, last = (
        parse_bound(b) if b else None for b in (arguments.first, arguments.last)
    )
    async with opened_to_ask(settings) as opened:
        shards = _shards(arguments.shard, opened)
        jobs = [
            Job(
                overrides(arguments),
                shard,
                await range_of(opened.log, opened.identity, shard, first, last),
            )
            for shard in shards
        ]
        return Plan(jobs, await _observations(opened.log, shards))


def _shards(asked: Sequence[int] | None, opened: Opened) -> Sequence[int]:
    count = opened.identity.partitions
    shards = sorted(set(asked if asked is not None else range(count)))
    if not all(0 <= shard < count for shard in shards):
        raise RequestError(f"this log has the shards 0 to {count - 1}")
    return shards


async def _observations(log: EventLog, shards: Sequence[int]) -> int:
    parts = [Partition(topic, shard) for topic in RAW for shard in shards]
    ends, oldest = await log.ends(parts), await log.oldest(parts)
    return sum(ends[at] - oldest[at] for at in parts)


# ---- in processes


def _in_processes(
    jobs: Sequence[Job], count: int, progress: Progress
) -> list[ShardReport]:
    """Verify each shard in a process of its own, ``count`` at a time."""
    context = multiprocessing.get_context("spawn")
    told: Any = context.Queue()
    with ProcessPoolExecutor(count, context, _begin, (told,)) as pool:
        futures = [pool.submit(_verified_in_process, job) for job in jobs]
        try:
            _show(futures, told, progress)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        return [future.result() for future in futures]


def _show(
    futures: Sequence[Future[ShardReport]], told: Any, progress: Progress
) -> None:
    left = set(futures)
    while left:
        done, left = wait(left, timeout=_POLL_S, return_when=FIRST_COMPLETED)
        for future in done:
            future.result()
        for step in _all_in(told):
            progress(step)


def _all_in(told: Any) -> Iterator[int]:
    while True:
        try:
            yield told.get_nowait()
        except Empty:
            return


_told: Any = None


def _begin(told: Any) -> None:
    global _told  # noqa: PLW0603 - what a process of the pool is given once
    _told = told
    # Ctrl-C in a terminal goes to all of us: end at once, and say nothing.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _verified_in_process(job: Job) -> ShardReport:
    # What is raised must survive the way to the other process: a line of text does.
    with answering():
        return _verified(job, _told.put)


def _verified(job: Job, progress: Progress) -> ShardReport:
    settings = read(job.overrides)
    config = VerifyConfig(
        first=job.range.first, last=job.range.last, accepted=accepted_gaps(settings)
    )

    async def verify() -> ShardReport:
        async with opened_to_ask(settings) as (log, _):
            return await verify_shard(log, job.shard, config=config, progress=progress)

    with _rare_collections():
        return asyncio.run(verify())


@contextmanager
def _rare_collections() -> Iterator[None]:
    """Look for garbage rarely: what a commit makes and drops has no cycles."""
    before = gc.get_threshold()
    gc.set_threshold(_COLLECT_EVERY, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


# ---- what came of it


def in_words(reports: Sequence[ShardReport], *, took_s: float) -> str:
    """Say what was verified, shard by shard, and what differs."""
    lines = [_in_words(report) for report in reports]
    total = sum(report.observations for report in reports)
    different = [report for report in reports if report.difference]
    end = f"{total:,} observations in {took_s:.1f} s ({total / took_s:,.0f} a second)"
    verdict = (
        f"{len(different)} of {len(reports)} shards differ"
        if different
        else ("the log is what the fold makes of it")
    )
    return "\n".join([*lines, f"{verdict}; {end}"])


def _in_words(report: ShardReport) -> str:
    shard = f"shard {report.shard}"
    if report.last > report.start:
        done = (
            f"{shard}: commits {report.start + 1} to {report.last}, "
            f"{report.observations:,} observations, as derived"
        )
    else:
        done = f"{shard}: no commit"
    notes = [
        (report.start, f"from the snapshot of commit {report.start}"),
        (report.snapshots, f"{report.snapshots} snapshots as derived"),
        (report.waiting, f"not yet folded: {report.waiting:,}"),
        (report.later, f"{report.later:,} keys of `latest` changed since"),
    ]
    said = "; ".join([done, *(note for count, note in notes if count)])
    return f"{said}\n{shard}: {report.difference}" if report.difference else said


def as_json(reports: Sequence[ShardReport]) -> str:
    """Return all reports for a program."""
    return orjson.dumps(
        {
            "different": any(report.difference for report in reports),
            "shards": [_as_json(report) for report in reports],
        }
    ).decode()


def _as_json(report: ShardReport) -> dict[str, Any]:
    difference = report.difference
    return {
        **asdict(report),
        "difference": difference
        and {**asdict(difference), "check": difference.check.value},
    }
