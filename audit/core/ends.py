"""What must hold where history ends: the public table, and nothing left over."""

from collections.abc import Iterable

from schemas.latest import IDENTITY_KEY
from schemas.topics import CHANGES, JOURNAL, LATEST

from .commits import LogRecord, commit_of
from .difference import Check, Difference, DifferenceFound, shown
from .table import Row, Table

# Records of the shards about themselves.
_NOT_FOLDED = (b"watermark:", b"observed:", b"unquoted:", b"terms:")


def is_folded(key: bytes) -> bool:
    """Tell whether a key of ``latest`` is one that the fold publishes."""
    return key != IDENTITY_KEY and not key.startswith(_NOT_FOLDED)


class LatestCheck:
    """Compares ``latest``, read from its beginning, with the table of a shard.

    What is of a commit after ``last`` came later than what was verified, and is passed
    over.
    """

    def __init__(self, table: Table, *, shard: int, last: int) -> None:
        self._table = table
        self._shard, self._last = shard, last
        # The newest record of each key, ``None`` where it is as it must be.
        self._found: dict[bytes, LogRecord | None] = {}
        self.later = 0

    def read(self, records: Iterable[LogRecord]) -> None:
        """Take in what is next in ``latest``."""
        # Of each key the last one counts, so no other need be looked at.
        newest = {record.key or b"": record for record in records}
        for key, record in newest.items():
            if is_folded(key):
                right = _is(record, self._table.get(key))
                self._found[key] = None if right else record

    def end(self, newest: int) -> None:
        """Compare, when all of ``latest`` was read.

        ``newest`` is the last commit that the journal held after that. Raises
        ``DifferenceFound``.
        """
        for key in sorted(self._table.keys() | self._found.keys()):
            if key in self._found:
                record = self._found[key]
                if record is not None:
                    self._compare(key, record, newest)
            else:
                self._differs(key, None)

    def _compare(self, key: bytes, record: LogRecord, newest: int) -> None:
        commit = commit_of(record)
        if commit is None or commit > newest:
            self._differs(key, record)
        elif commit > self._last:
            self.later += 1
        else:
            self._differs(key, record)

    def _differs(self, key: bytes, record: LogRecord | None) -> None:
        row = self._table.get(key)
        raise DifferenceFound(
            Difference(
                Check.LATEST,
                self._shard,
                commit=row.commit if row else self._last,
                topic=LATEST,
                expected=_said(row.value, row.commit) if row else "nothing",
                found=_said(record.value, commit_of(record)) if record else "nothing",
                offset=record.offset if record else None,
                key=shown(key),
            )
        )


def _is(record: LogRecord, row: Row | None) -> bool:
    if row is None:
        return record.value is None
    return row == (record.value, commit_of(record))


def _said(value: bytes | None, commit: int | None) -> str:
    return f"{shown(value)} of commit {commit}"


def check_left_over(
    topic: str, record: LogRecord, *, shard: int, last: int, newest: int
) -> None:
    """Look at the first change or reject that none of the commits up to ``last`` claims.

    It may be of a commit that came since, up to ``newest``; rejects do not say of which.
    Raises ``DifferenceFound`` for any other.
    """
    commit = commit_of(record) if topic == CHANGES else newest
    if commit is not None and last < commit <= newest:
        return
    raise DifferenceFound(
        Difference(
            Check.JOURNAL,
            shard,
            commit=last,
            topic=topic,
            expected=f"nothing: {JOURNAL} ends with commit {last}",
            found=f"{shown(record.key)} = {shown(record.value)}",
            offset=record.offset,
            key=shown(record.key),
        )
    )
