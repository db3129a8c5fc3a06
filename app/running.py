"""Systems of ``up`` that run on a log: each leaves a note beside the file while it lives.

A note is a JSON file that its writer keeps locked. The lock goes with the process, however
that ends, so a note without a lock is stale. Logs on a broker have no notes, because two
machines would not see the same ones.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from app.errors import OperatorError


@dataclass(frozen=True, slots=True)
class RunningSystem:
    """A system of ``up``: its process, where its edge answers, and its simulator's URL.

    ``metrics`` are the addresses of the services' metrics by name. ``simulator_url`` is
    ``None`` where the real upstreams are read.
    """

    pid: int
    edge: str
    simulator_url: str | None
    metrics: dict[str, str]


def running_systems(log: Path) -> list[RunningSystem]:
    """Return the systems that run on a log now; stale notes are removed."""
    if not log.parent.is_dir():
        return []
    prefix = f"{log.name}.up-"
    notes = [path for path in log.parent.iterdir() if path.name.startswith(prefix)]
    return [system for path in sorted(notes) if (system := _read(path)) is not None]


@contextmanager
def noted(log: Path, system: RunningSystem) -> Iterator[None]:
    """Leave a note of a system beside its log for as long as the context lasts.

    Raises ``OperatorError`` for a second simulated system: each has a simulator of its
    own, and a log holds one world. Any number of systems may read the real upstreams.
    """
    path = log.with_name(f"{log.name}.up-{system.pid}")
    with _one_at_a_time(log):
        if system.simulator_url is not None:
            refuse_second_world(log)
        note = path.open("w", encoding="utf-8")
        fcntl.flock(note, fcntl.LOCK_EX | fcntl.LOCK_NB)
        json.dump(asdict(system), note)
        note.flush()
    with note:
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def refuse_second_world(log: Path) -> None:
    """Raise ``OperatorError`` if a simulated system runs on a log now."""
    for other in running_systems(log):
        if other.simulator_url is not None:
            raise OperatorError(
                f"a simulated system already runs on the log at {log} (process "
                f"{other.pid}, edge at {other.edge}); stop it, or choose another log "
                "with --log or STACKS_FEED_LOG"
            )


@contextmanager
def _one_at_a_time(log: Path) -> Iterator[None]:
    """Hold off others that look for systems and start one.

    The file that is locked for that is removed again while it is locked. Somebody else may
    have waited for the lock of a file that is gone by then: it holds off nobody.
    """
    path = log.with_name(f"{log.name}.up")
    while True:
        with path.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not _is_at(path, lock.fileno()):
                continue
            try:
                yield
            finally:
                path.unlink(missing_ok=True)
            return


def _is_at(path: Path, file: int) -> bool:
    """Tell whether an open file is the one that has this path now."""
    try:
        return os.path.samestat(path.stat(), os.fstat(file))
    except FileNotFoundError:
        return False


def _read(path: Path) -> RunningSystem | None:
    """Read the note of a living system; remove one that no process holds."""
    try:
        with path.open("r+", encoding="utf-8") as note:
            if _is_locked(note.fileno()):
                return RunningSystem(**json.load(note))
            path.unlink(missing_ok=True)
    except (OSError, ValueError, TypeError):
        # Gone meanwhile, not ours to read, or of another version.
        return None
    return None


def _is_locked(file: int) -> bool:
    with suppress(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return False
    return True
