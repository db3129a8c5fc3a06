"""The first place where a log is not what the fold makes of it."""

from dataclasses import dataclass
from enum import Enum

_SHOWN, _BEFORE = 200, 60


class Check(Enum):
    """What was compared when something differed."""

    JOURNAL = "journal"
    COMMIT_NUMBER = "commit number"
    CHAIN = "chain"
    IDENTITY = "identity"
    RANGE = "input range"
    RAW = "raw hash"
    LOG_TIME = "log time"
    APPEND_TIME = "append time"
    DECISIONS = "decisions"
    PUBLISHED = "published digest"
    CHANGES = "changes"
    REJECTED = "rejects digest"
    REJECTS = "rejects"
    LATEST = "latest"
    STATE = "state"
    SNAPSHOT = "snapshot"


@dataclass(frozen=True, slots=True)
class Difference:
    """What differs, where, and how; ``commit`` is the one that was being checked.

    ``topic``, ``offset`` and ``key`` name the record, as far as there is one. ``expected``
    follows from everything before; ``found`` is what the log holds.
    """

    check: Check
    shard: int
    commit: int
    topic: str
    expected: str
    found: str
    offset: int | None = None
    key: str | None = None
    hint: str = ""

    def __str__(self) -> str:
        """Say it in one line."""
        at = "" if self.offset is None else f" at offset {self.offset}"
        key = "" if self.key is None else f", key {self.key}"
        hint = f" ({self.hint})" if self.hint else ""
        expected, found = in_short(self.expected, self.found)
        return (
            f"{self.check.value} differs in commit {self.commit} of shard {self.shard}: "
            f"{self.topic}[{self.shard}]{at}{key}: expected {expected}, found {found}"
            f"{hint}"
        )


class DifferenceFound(Exception):
    """A log is not what the fold makes of it."""

    def __init__(self, difference: Difference) -> None:
        super().__init__(f"{difference}")
        self.difference = difference

    def __reduce__(self) -> tuple[type["DifferenceFound"], tuple[Difference]]:
        """Survive the way from one process to another."""
        return DifferenceFound, (self.difference,)


def in_short(expected: str, found: str) -> tuple[str, str]:
    """Return both around the first character at which they differ."""
    pairs = enumerate(zip(expected, found, strict=False))
    same = next((n for n, (ours, theirs) in pairs if ours != theirs), 0)
    start = same - _BEFORE if same > 2 * _BEFORE else 0
    return _window(expected, start), _window(found, start)


def _window(text: str, start: int) -> str:
    head = "…" if start else ""
    tail = "…" if len(text) > start + _SHOWN else ""
    return f"{head}{text[start : start + _SHOWN]}{tail}"


def shown(data: bytes | None) -> str:
    """Return bytes as text a person reads; no bytes at all are a tombstone."""
    return "a tombstone" if data is None else data.decode(errors="backslashreplace")
