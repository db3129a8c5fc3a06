"""What the adapter must be told."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic_ns

from eventlog.steps import OnStep, no_step
from eventlog.trouble import EachTime, NewTrouble


@dataclass(frozen=True, slots=True)
class SqliteConfig:
    """Where the log is and how long anything may take.

    ``now_ms`` gives the append times. ``elapsed_ns`` dates leases: it must be the same
    clock in every process of the machine, and never step. ``full_sync`` makes commits
    survive a power cut, not only the death of a process. A member is taken for dead
    ``lease_s`` after its last sign of life. ``busy_s`` is how long a write waits for
    other writers. The file stays below ``max_size_bytes``: ``LogFull`` instead.
    The owner of shard 0 looks every ``clean_every_s`` for what may be forgotten, and
    compacts a partition when ``dirty_min`` records and a quarter of those kept are new.
    ``on_step`` is told each step of the work, in whatever thread does it. ``new_trouble``
    makes what logs trouble that is waited out.
    """

    path: Path
    now_ms: Callable[[], int]
    full_sync: bool = False
    lease_s: float = 0.8
    busy_s: float = 5.0
    max_size_bytes: int | None = None
    clean_every_s: float = 1.0
    dirty_min: int = 1_000
    elapsed_ns: Callable[[], int] = monotonic_ns
    on_step: OnStep = no_step
    new_trouble: NewTrouble = EachTime

    @property
    def where(self) -> str:
        """The log as a URL."""
        return f"sqlite://{self.path}"

    @property
    def bells(self) -> Path:
        """The directory of the sockets by which processes wake one another."""
        return self.path.with_name(self.path.name + "-wake")
