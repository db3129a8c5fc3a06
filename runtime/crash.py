"""The steps at which a process can be told to die, so that tests see what it leaves.

Each shell calls ``on_step`` of its config with the name of what it has just done. In
production that does nothing; a test has the process kill itself at one of the steps.
"""

import logging
import os
import re
import signal
from collections.abc import Callable, Mapping
from itertools import count
from types import MappingProxyType
from typing import Final

logger = logging.getLogger(__name__)

OnStep = Callable[[str], None]

# All steps there are, by name; each says how far the process has come.
STEPS: Final[Mapping[str, str]] = MappingProxyType(
    {
        # The log, whoever uses it.
        "topics-written": "topics are with the log, which has not confirmed them",
        "append-written": "records are with the log, which has not confirmed them",
        "commit-written": "all records of a transaction are written, none is committed",
        "commit-made": "a transaction is committed, and nobody has been told",
        # The log in a file, as it forgets.
        "ages-written": "the ages of new records are measured, and not committed",
        "slice-written": "a slice of old records is dropped, and not committed",
        "slice-made": "one slice is committed, and the next has not begun",
        "compaction-written": "a compaction is over, and that is not committed",
        # Making a log.
        "topics-created": "all topics are there, and the log has no identity",
        # The processor.
        "shard-acquired": "a shard is ours, its earlier owners are fenced",
        "barrier-made": "our barrier is in the state of a shard, none of it is read",
        "state-read": "some of the state of a shard is read",
        "term-begun": "our term is in the log, and nothing is published in it",
        "inputs-taken": "observations are read, and not folded",
        "folded": "a commit is worked out, and nothing of it written",
        "commit-returned": "a commit is in the log, and not in our memory",
        # Ingest.
        "reply-read": "upstream has answered, and nothing of it is in the log",
        "appended": "observations are in the log, and whoever read them does not know",
        "demand-read": "we know who is watched, and have asked nobody",
        # The edge.
        "table-updated": "the table is newer than what clients have been told",
    }
)
_SPEC = re.compile(r"([a-z-]+)(?::([1-9][0-9]{0,8}))?")


def no_step(_: str) -> None:
    """Pass every step."""


def kill_this_process() -> None:
    """Die at once, as by ``kill -9``: nothing is flushed, closed or said."""
    os.kill(os.getpid(), signal.SIGKILL)


def crash_at(spec: str, *, kill: Callable[[], None] = kill_this_process) -> OnStep:
    """Return what kills the process when it passes a step: ``folded``, or ``folded:3``.

    The number says at which pass, counted over all threads and shards of the process;
    without one it is the first. An empty ``spec`` never kills. Raises ``ValueError`` for
    one that names no step.
    """
    if not spec:
        return no_step
    name, fatal = _parsed(spec)
    passes = count(1)

    def on_step(step: str) -> None:
        if step == name and next(passes) == fatal:
            logger.critical("killed at a step", extra={"step": name, "pass": fatal})
            kill()

    return on_step


def _parsed(spec: str) -> tuple[str, int]:
    match = _SPEC.fullmatch(spec)
    if match is None or match[1] not in STEPS:
        raise ValueError(
            f"not a step, or not followed by :NUMBER; steps are {', '.join(STEPS)}"
        )
    return match[1], int(match[2] or 1)
