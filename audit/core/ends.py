"""What must hold where history ends: the public table, and nothing left over."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from schemas.base import Malformed, decoder
from schemas.latest import IDENTITY_KEY, decode_latest
from schemas.log import LogIdentity, Observed, Terms
from schemas.states import (
    IDENTITY_COPY_KEY,
    LATEST_BOUNDS_KEY,
    OBSERVED_KEY,
    TERMS_KEY,
    LatestBounds,
)
from schemas.topics import CHANGES, JOURNAL, LATEST, STATE

from .commits import LogRecord, commit_of
from .difference import Check, Difference, DifferenceFound, shown
from .table import Row, Table

# Records of the shards about themselves.
_NOT_FOLDED = (b"watermark:", b"observed:", b"unquoted:", b"terms:")
_STATE_COPIES: Final[Mapping[bytes, Callable[[bytes], Any]]] = {
    OBSERVED_KEY: decoder(Observed),
    TERMS_KEY: decoder(Terms),
    LATEST_BOUNDS_KEY: decoder(LatestBounds),
    IDENTITY_COPY_KEY: decoder(LogIdentity),
}


def is_folded(key: bytes) -> bool:
    """Tell whether a key of ``latest`` is one that the fold publishes."""
    return key != IDENTITY_KEY and not key.startswith(_NOT_FOLDED)


class OwnRecordsCheck:
    """Looks at the records of a shard, and of the log, about themselves.

    Nothing that was observed tells what they must be. But each is of the shard in whose
    partition it stands, and can be read; the log has one ``identity``, which is given by its
    digest; and the current term in ``latest`` is one that ``state`` knows as well.
    ``latest`` must be read before ``state``: then the latter is not behind.
    """

    def __init__(self, *, shard: int, last: int, identity: str | None) -> None:
        self._shard, self._last, self._identity = shard, last, identity
        self._terms: tuple[LogRecord, Terms] | None = None
        self._known_terms: Terms | None = None

    def read_latest(self, records: Iterable[LogRecord]) -> None:
        """Take in what is next in ``latest``; raise ``DifferenceFound``."""
        for record in records:
            key = record.key or b""
            if not is_folded(key):
                said = decode_latest(key, record.value or b"")
                expected = self._expected(key, said)
                if expected is not None:
                    self._differs(LATEST, record, expected)
                if isinstance(said, Terms):
                    self._terms = record, said

    def read_state(self, records: Iterable[LogRecord]) -> None:
        """Take in what is next in ``state``; raise ``DifferenceFound``."""
        for record in records:
            decode = _STATE_COPIES.get(record.key or b"")
            if decode is None:
                continue
            said = decode(record.value or b"")
            expected = self._expected_copy(said)
            if expected is not None:
                self._differs(STATE, record, expected)
            if isinstance(said, Terms):
                self._known_terms = said

    def end(self) -> None:
        """Compare, when both were read; raise ``DifferenceFound``."""
        if self._terms is None or self._known_terms is None:
            return
        record, terms = self._terms
        if terms.terms[-1].id not in {term.id for term in self._known_terms.terms}:
            self._differs(LATEST, record, f"a term that {STATE} knows")

    def _expected(self, key: bytes, said: Any) -> str | None:
        """Return what a record of ``latest`` should be, if it is not that."""
        if isinstance(said, LogIdentity):
            return self._expected_identity(said)
        if isinstance(said, Malformed):
            return "a record that can be read"
        kind = key.partition(b":")[0].decode()
        if key != f"{kind}:{self._shard}".encode() or said.shard != self._shard:
            return f"one of shard {self._shard}"
        return None

    def _expected_copy(self, said: Any) -> str | None:
        if isinstance(said, LogIdentity):
            return self._expected_identity(said)
        if isinstance(said, Malformed):
            return "a copy that can be read"
        if getattr(said, "shard", self._shard) != self._shard:
            return f"one of shard {self._shard}"
        return None

    def _expected_identity(self, said: LogIdentity) -> str | None:
        if self._shard != 0:
            return "nothing: the identity of a log is in partition 0"
        if self._identity is not None and said.digest != self._identity:
            return f"the identity of the log, with the hash {self._identity}"
        return None

    def _differs(self, topic: str, record: LogRecord, expected: str) -> None:
        is_identity = record.key in {IDENTITY_KEY, IDENTITY_COPY_KEY}
        check = Check.LATEST if topic == LATEST else Check.STATE
        raise DifferenceFound(
            Difference(
                Check.IDENTITY if is_identity else check,
                self._shard,
                self._last,
                topic,
                expected=expected,
                found=shown(record.value),
                offset=record.offset,
                key=shown(record.key),
            )
        )


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
