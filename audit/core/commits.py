"""A commit as the log holds it: its journal record, and all that the record speaks of."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from processor.core.journal import InputRecord
from schemas.base import Malformed, decoder
from schemas.journal import AnyCommit, Commit, Origin
from schemas.rejects import Reject
from schemas.topics import JOURNAL

from .difference import Check, Difference, DifferenceFound

COMMIT_HEADER = "commit"
_reject = decoder(Reject)
# Each is asked for twice: as the one that follows, and when it is its turn.
_commit = lru_cache(maxsize=4)(decoder(AnyCommit))


class LogRecord(InputRecord, Protocol):
    """A record of the log with all that stands beside key and value."""

    @property
    def headers(self) -> Sequence[tuple[str, bytes]]:
        """Names and values, in the order they were written."""
        ...


@dataclass(frozen=True, slots=True)
class CommitRead:
    """One commit, read back: what it says and what the log holds of it.

    ``record`` is the journal record and ``said`` what it says. ``inputs`` are the raw
    records of its ranges, by topic in the order of ``RAW``; ``changes`` and ``rejects``
    are as many as it says, fewer where the log holds no more. Where retention has dropped
    rejects, those that are left are the last ones and ``rejects_whole`` is false.
    ``following`` is the journal record after it, ``None`` at the end.
    """

    record: LogRecord
    said: Commit
    inputs: Sequence[tuple[str, Sequence[LogRecord]]]
    changes: Sequence[LogRecord]
    rejects: Sequence[LogRecord]
    rejects_whole: bool = True
    following: LogRecord | None = None


def commit_in(record: InputRecord) -> Commit | Malformed:
    """Return what a journal record says."""
    said: Commit | Malformed = _commit(record.value or b"")
    return said


def read_commit(record: InputRecord, *, shard: int) -> Commit:
    """Return what a journal record says; raise ``DifferenceFound`` if it cannot be read."""
    said = commit_in(record)
    if isinstance(said, Malformed):
        raise DifferenceFound(
            Difference(
                Check.JOURNAL,
                shard,
                commit=0,
                topic=JOURNAL,
                offset=record.offset,
                expected="a record of a commit",
                found=f"one that cannot be read (at {said.field or 'all'})",
            )
        )
    return said


def commit_of(record: LogRecord) -> int | None:
    """Return the commit that a change says it is of; ``None`` if it says none."""
    for name, value in record.headers:
        if name == COMMIT_HEADER and value.isdigit():
            return int(value)
    return None


def origin_of(reject: InputRecord) -> Origin | None:
    """Return where a reject says the observation stands; ``None`` if it is unreadable."""
    said = _reject(reject.value or b"")
    return None if isinstance(said, Malformed) else said.origin


def is_within(origin: Origin | None, said: Commit) -> bool:
    """Tell whether an observation is among those that a commit says it read."""
    if origin is None:
        return False
    stretch = said.inputs.get(origin.topic)
    return stretch is not None and stretch.start <= origin.offset < stretch.end
