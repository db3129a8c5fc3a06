"""Verifying a shard that the processor has folded, whole and part by part."""

import resource
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from audit.commits import open_commits
from audit.core.commits import CommitRead
from audit.core.table import new_standing
from audit.core.verify import Verifier
from audit.verify import VerifyConfig, verify_shard
from benchmarks.logs import opened
from benchmarks.trial import EXTRA, cpu_s, start
from processor.core.generations import GENERATIONS, UNLIMITED
from processor.core.journal import input_range
from processor.core.observations import READERS


async def verify(args: dict[str, Any]) -> int:
    """Verify the shard, to its end and with its end."""
    async with opened(args) as log:
        start()
        report = await verify_shard(log, 0, config=VerifyConfig())
    if report.difference is not None or report.observations != args["count"]:
        raise AssertionError(f"not as derived: {report}")
    EXTRA["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_024
    return report.observations


async def parts(args: dict[str, Any]) -> int:
    """Do what verifying does, each part by itself; note the CPU of each."""
    spent = dict.fromkeys(("read", "hash", "decode", "fold", "all but reading"), 0.0)

    def timed(part: str, work: Callable[[], object]) -> None:
        began = time.thread_time()
        work()
        spent[part] += time.thread_time() - began

    verifier = Verifier(new_standing(0), GENERATIONS)
    async with opened(args) as log:
        start()
        async with open_commits(log, 0) as commits:
            while True:
                began = cpu_s()
                read = await commits.next()
                spent["read"] += cpu_s() - began
                if read is None:
                    break
                this = read
                timed("hash", lambda: _hash(this))  # noqa: B023 - called at once
                timed("decode", lambda: _decode(this))  # noqa: B023
                timed("fold", lambda: _fold(verifier, this))  # noqa: B023
                timed("all but reading", lambda: verifier.check(this))  # noqa: B023
    EXTRA.update(spent)
    return verifier.standing.observations


def _hash(read: CommitRead) -> None:
    for topic, records in read.inputs:
        input_range(records, start=read.said.inputs[topic].start)


def _decode(read: CommitRead) -> None:
    for topic, records in read.inputs:
        deque(READERS[topic](records), maxlen=0)


def _fold(verifier: Verifier, read: CommitRead) -> None:
    """Fold, hashing and decoding included; the state stays as it is."""
    fold = GENERATIONS[read.said.generation]
    state, inputs = verifier.standing.state, list(read.inputs)
    fold(state, inputs, settings=read.said.settings, limits=UNLIMITED)
