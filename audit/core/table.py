"""The public table of one shard as its history leaves it, and all that the shard holds."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from processor.core.shard_state import ShardState

from .commits import LogRecord, commit_of


class Row(NamedTuple):
    """What stands under a key, as published, and the commit that published it."""

    value: bytes
    commit: int


Table = dict[bytes, Row]


@dataclass(slots=True)
class Standing:
    """All that a shard holds after a commit: state, table, and how much it has read.

    ``declared`` is the commit of the declared point from which it was derived; 0: from the
    first commit on.
    """

    state: ShardState
    table: Table = field(default_factory=dict)
    observations: int = 0
    declared: int = 0


def new_standing(shard: int) -> Standing:
    """Return what a shard holds that has read nothing."""
    return Standing(ShardState(shard))


def put(table: Table, key: bytes, value: bytes | None, *, commit: int) -> None:
    """Let ``key`` have its next value; ``None`` withdraws it."""
    if value is None:
        table.pop(key, None)
    else:
        table[key] = Row(value, commit)


def replay(table: Table, changes: Iterable[LogRecord], *, last: int) -> bool:
    """Take over changes up to commit ``last``; tell whether one was of a later commit."""
    for change in changes:
        commit = commit_of(change)
        if commit is None or commit > last:
            return True
        put(table, change.key or b"", change.value, commit=commit)
    return False
