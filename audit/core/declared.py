"""The basis of a declared point, compared with all else that the log still holds.

Nothing at a declared point can be derived. But the log says most of it several times over:
in ``latest``, in ``state``, and in what is left of ``changes``. If these contradict one
another, somebody has changed one of them, and there is nothing to declare.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from processor.core.published import Disagreement, disagreements
from processor.core.shard_state import ShardState
from schemas.topics import CHANGES, LATEST, STATE

from .commits import LogRecord, commit_of
from .difference import Check, Difference, DifferenceFound, shown
from .table import Table


class Newest(NamedTuple):
    """The newest record of a key in ``latest``; ``value`` ``None`` is a tombstone.

    ``commit`` is 0 where the record does not say which commit wrote it.
    """

    value: bytes | None
    commit: int


class HeldChanges:
    """The newest change of each key among those that are left, up to a commit."""

    def __init__(self, *, last: int) -> None:
        self._last = last
        self.newest: dict[bytes, LogRecord] = {}
        # The commit of the oldest change: of those after it none is missing.
        self.first: int | None = None
        self.is_read = False

    def read(self, changes: Iterable[LogRecord]) -> None:
        """Take in what is next in ``changes``; ``is_read`` once a later commit came."""
        for change in changes:
            commit = commit_of(change) or 0
            if commit > self._last:
                self.is_read = True
                return
            if self.first is None:
                self.first = commit
            self.newest[change.key or b""] = change


def check_declared(
    state: ShardState, rows: Mapping[bytes, Newest], changes: HeldChanges
) -> None:
    """Compare ``latest`` with ``changes`` and with ``state``; raise ``DifferenceFound``.

    What commits after that of the state have written to ``latest`` is not looked at: those
    commits are derived.
    """
    commit = state.position.commit
    for key, change in changes.newest.items():
        row = rows.get(key)
        # Compaction drops a tombstone after its time, and those of a table that was
        # rebuilt name no commit.
        if row is None or row == Newest(None, 0):
            there = Newest(None, commit_of(change) or 0)
        else:
            there = row
        if there.commit <= commit and there != (change.value, commit_of(change)):
            raise _contradicts_changes(state, key, row, change)
    before = {key: row for key, row in rows.items() if row.commit <= commit}
    for key, row in before.items():
        is_held = changes.first is not None and row.commit > changes.first
        names_no_commit = row.commit < 1 and row.value is not None
        if names_no_commit or (is_held and key not in changes.newest):
            raise _contradicts_changes(state, key, row, None)
    values = {key: row.value for key, row in before.items() if row.value is not None}
    for one in disagreements(state, values):
        if one.key in before or one.key not in rows:
            raise _contradicts_state(state, one)


def check_since(
    rows: Mapping[bytes, Newest], table: Table, *, shard: int, after: int
) -> None:
    """Compare what commits after ``after`` wrote to ``latest`` with what was derived.

    The table may be further on, never behind.
    """
    for key, row in rows.items():
        derived = table.get(key)
        if row.commit <= after or (derived and derived.commit > row.commit):
            continue
        there = derived or (None, row.commit)
        if row != tuple(there):
            expected = f"{shown(derived.value)}" if derived else "nothing"
            raise DifferenceFound(
                Difference(
                    Check.LATEST,
                    shard,
                    row.commit,
                    LATEST,
                    expected=expected,
                    found=shown(row.value),
                    key=shown(key),
                )
            )


def _contradicts_changes(
    state: ShardState, key: bytes, row: Newest | None, change: LogRecord | None
) -> DifferenceFound:
    """Return the difference between what `latest` holds of a key and what `changes` does."""
    expected = (
        f"{shown(change.value)} of commit {commit_of(change)}, as in {CHANGES} at offset "
        f"{change.offset}"
        if change
        else f"nothing: {CHANGES} has no such change"
    )
    found = f"{shown(row.value)} of commit {row.commit}" if row else "nothing"
    return DifferenceFound(
        Difference(
            Check.LATEST,
            state.shard,
            state.position.commit,
            LATEST,
            expected=expected,
            found=found,
            key=shown(key),
            hint="no point is declared where the log contradicts itself",
        )
    )


def _contradicts_state(state: ShardState, one: Disagreement) -> DifferenceFound:
    remembered = "nothing" if one.remembered is None else shown(one.remembered)
    published = "nothing" if one.published is None else shown(one.published)
    return DifferenceFound(
        Difference(
            Check.STATE,
            state.shard,
            state.position.commit,
            STATE,
            expected=f"what {LATEST} holds: {published}",
            found=remembered,
            key=shown(one.key),
            hint="no point is declared where the log contradicts itself",
        )
    )
