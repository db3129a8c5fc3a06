"""When the log took what a commit wrote: what contradicts the log itself.

No hash covers the append times of ``journal``, ``changes`` and ``rejects``. Two things can be
said of them all the same. Where a log gives all records of a commit the same time, another
time of one of them was written by somebody else. And a commit cannot have been appended
before the observations that it read: but a clock that was set back makes it look so, so that
is counted and told, and is no difference.
"""

from collections.abc import Sequence
from typing import NamedTuple

from schemas.topics import CHANGES, REJECTS, STATE

from .commits import CommitRead, LogRecord
from .difference import Check, Difference, DifferenceFound, shown
from .telling import time_text

# The clocks of two brokers may differ so much.
_TOLERATED_MS = 5_000


class Early(NamedTuple):
    """Commits that were appended before the newest observation that they had read.

    ``first`` is the number of the first of them, which was early by ``early_ms``.
    """

    commits: int
    first: int
    early_ms: int


class AppendTimes:
    """Looks at the append times of one shard, commit by commit.

    ``at_once``: this log gives all records of a commit the same time.
    """

    def __init__(self, shard: int, *, at_once: bool) -> None:
        self._shard, self._at_once = shard, at_once
        self._last: LogRecord | None = None
        self._commit = 0
        self.early: Early | None = None

    def check(self, read: CommitRead) -> None:
        """Take in the next commit; raise ``DifferenceFound`` for a time that is another."""
        self._last, self._commit = read.record, read.said.commit
        if self._at_once:
            self._same(CHANGES, read.changes, read.record)
            self._same(REJECTS, read.rejects, read.record)
        early_ms = read.said.log_time - read.record.time_ms
        if early_ms > _TOLERATED_MS:
            early = self.early or Early(0, read.said.commit, early_ms)
            self.early = early._replace(commits=early.commits + 1)

    def end(self, position: LogRecord | None) -> None:
        """Compare with the position in ``state`` that the last commit wrote, if it is that."""
        if self._at_once and self._last is not None and position is not None:
            self._same(STATE, [position], self._last)

    def _same(self, topic: str, records: Sequence[LogRecord], last: LogRecord) -> None:
        for record in records:
            if record.time_ms != last.time_ms:
                self._differs(topic, record, last)

    def _differs(self, topic: str, record: LogRecord, last: LogRecord) -> None:
        raise DifferenceFound(
            Difference(
                Check.APPEND_TIME,
                self._shard,
                self._commit,
                topic,
                expected=f"{time_text(last.time_ms)}, as its journal record",
                found=time_text(record.time_ms),
                offset=record.offset,
                key=shown(record.key),
            )
        )
