"""Work on shards of a log: each in a process of its own, one bar of progress for all."""

import argparse
import asyncio
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from queue import Empty
from typing import Any, NamedTuple, TypeVar

from app.audits import Progress, answering, bar, opened_to_ask
from app.bootstrap import Opened
from app.errors import OperatorError, RequestError
from app.settings import read
from audit.bounds import Range, range_of
from audit.core.cuts import parse_bound
from eventlog.port import EventLog, Partition
from runtime.garbage import rare_collections
from schemas.topics import RAW

_POLL_S = 0.2
R = TypeVar("R")


class Job(NamedTuple):
    """One shard to work on, as it is handed to a process."""

    overrides: Mapping[str, object]
    shard: int
    range: Range


class Plan(NamedTuple):
    """The shards to work on and how many observations there are in them."""

    jobs: Sequence[Job]
    observations: int


# Of the top level of a module, or part of one: another process must find it.
Work = Callable[[Job, Progress], R]


def plan(overrides: Mapping[str, object], arguments: argparse.Namespace) -> Plan:
    """Find out what ``--shard``, ``--from`` and ``--to`` are in terms of a log.

    ``overrides`` are the settings that were given on the command line. Raises ``RequestError`` for a shard that it does not have, and what ``range_of`` does.
    """
    return asyncio.run(_plan(overrides, arguments))


async def _plan(overrides: Mapping[str, object], arguments: argparse.Namespace) -> Plan:
    first, last = (
        parse_bound(b) if b else None for b in (arguments.first, arguments.last)
    )
    async with opened_to_ask(read(overrides)) as opened:
        shards = _shards(arguments.shard, opened)
        jobs = [
            Job(
                overrides,
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


def on_shards(
    work: Work[R], planned: Plan, *, processes: int | None, doing: str
) -> list[R]:
    """Return what ``work`` makes of each shard, in the order of the plan.

    At most so many ``processes`` at a time, ``None`` is as many as there are cores; one
    is this process itself.
    """
    count = min(processes or os.cpu_count() or 1, len(planned.jobs))
    with bar(doing, total=planned.observations) as progress:
        if count > 1:
            return _in_processes(work, planned.jobs, count, progress)
        with rare_collections():
            return [work(job, progress) for job in planned.jobs]


def _in_processes(
    work: Work[R], jobs: Sequence[Job], count: int, progress: Progress
) -> list[R]:
    context = multiprocessing.get_context("spawn")
    told: Any = context.Queue()
    with ProcessPoolExecutor(count, context, _begin, (told,)) as pool:
        futures = [pool.submit(_work, work, job) for job in jobs]
        try:
            _show(futures, told, progress)
        except BrokenProcessPool:
            raise OperatorError(
                "a process that worked on a shard was killed, perhaps for want of memory; "
                "try again with fewer at a time (--jobs)"
            ) from None
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        return [future.result() for future in futures]


def _show(futures: Sequence[Future[R]], told: Any, progress: Progress) -> None:
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


def _work(work: Work[R], job: Job) -> R:
    # What is raised must survive the way to the other process: a line of text does.
    with answering(), rare_collections():
        return work(job, _told.put)
