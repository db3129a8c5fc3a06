"""The plan of a backfill: what each file holds, and what of it the log holds already.

Per key the log takes rows in their order, so what an earlier run has written of a key is a
prefix of its rows. A run goes on after that prefix. A key of which the log holds anything
else that is newer is refused as a whole, because its rows would all be stale.
"""

from dataclasses import dataclass, field
from hashlib import blake2b
from typing import NamedTuple

from .history import newest_moment
from .history_rows import (
    HistoryRow,
    Layout,
    RefusedRow,
    RowReader,
    RowRules,
    Severity,
    TimeUnit,
)

# State is held for each key, so their number is limited.
MAX_KEYS = 1_000_000
# Refused rows are told by reason; of more reasons only the number of rows is told.
MAX_REASONS = 50
_OTHER_REASONS = "refused for other reasons"


class TooManyKeys(Exception):
    """The files name more tokens and users than one run can take."""

    def __init__(self) -> None:
        super().__init__(
            f"more than {MAX_KEYS:,} tokens and users; split the files by token or user"
        )


@dataclass(slots=True)
class RefusedRows:
    """Rows of a file that are refused for one reason; ``first`` is the first of them."""

    first: RefusedRow
    line: int
    rows: int = 1


class FileReport:
    """What one file holds, as far as it was read."""

    def __init__(self, name: str, rules: RowRules) -> None:
        self.name = name
        self.reader = RowReader(rules)
        self.rows = 0
        self.first_ms: int | None = None
        self.last_ms: int | None = None
        self._keys: set[tuple[str, bytes]] = set()
        self._key_count = 0
        self._refused: dict[tuple[str, Severity], RefusedRows] = {}

    @property
    def layout(self) -> Layout | None:
        """What the rows are; ``None`` if there are none."""
        return self.reader.layout

    @property
    def unit(self) -> TimeUnit | None:
        """The unit of the times, where it was a number in the file that told it."""
        return self.reader.unit if self.layout is Layout.PRICES else None

    @property
    def keys(self) -> int:
        """How many tokens and users the rows are of."""
        return self._key_count or len(self._keys)

    @property
    def refused(self) -> tuple[RefusedRows, ...]:
        """The rows that are refused, by reason, in the order of the first of each."""
        return tuple(self._refused.values())

    def add(self, row: HistoryRow) -> None:
        """Count a row that can be written."""
        self.rows += 1
        moment = row.observed_at
        self.first_ms = moment if self.first_ms is None else min(self.first_ms, moment)
        self.last_ms = moment if self.last_ms is None else max(self.last_ms, moment)
        self._keys.add((row.topic, row.key))

    def refuse(self, row: RefusedRow, line: int) -> None:
        """Count a row that cannot be written."""
        key = (row.reason, row.severity)
        if key not in self._refused and len(self._refused) >= MAX_REASONS:
            row = RefusedRow(_OTHER_REASONS, severity=row.severity)
            key = (row.reason, row.severity)
        if key in self._refused:
            self._refused[key].rows += 1
        else:
            self._refused[key] = RefusedRows(row, line)

    def end(self) -> None:
        """Say that the file was read; only the number of its keys is kept."""
        self._key_count = len(self._keys)
        self._keys = set()

    def count(self, severity: Severity) -> int:
        """Return how many rows were refused so."""
        return sum(
            each.rows for each in self.refused if each.first.severity is severity
        )


class RefusedKey(NamedTuple):
    """A key whose rows would be stale: the times of its first row and of the log's newest."""

    topic: str
    key: str
    first_ms: int
    newest_ms: int


@dataclass(slots=True)
class _Key:
    """One key: its rows, and what the log holds from the time of its first row on."""

    first_ms: int
    rows: int = 0
    logged: int = 0
    logged_sum: int = 0
    newest_ms: int = -1
    # While the rows are walked, and again while they are written.
    walked: int = 0
    walked_sum: int = 0
    is_prefix: bool = False
    skip: int = 0
    is_refused: bool = False


@dataclass(slots=True)
class KeyPlans:
    """Decides for each key which of its rows are to be written.

    Used in four steps: ``add`` every row, ``logged`` every record of the log, ``walk`` the
    rows in the order in which they are written, and ``decide``. Then ``takes`` tells for
    each row, in the same order, whether it is written.
    """

    refused: list[RefusedKey] = field(default_factory=list)
    in_log: int = 0
    refused_rows: int = 0
    to_write: int = 0
    _keys: dict[tuple[str, bytes], _Key] = field(default_factory=dict)

    def __len__(self) -> int:
        """Return the number of keys."""
        return len(self._keys)

    def add(self, row: HistoryRow) -> None:
        """Take a row, in any order. Raises ``TooManyKeys``."""
        name = (row.topic, row.key)
        key = self._keys.get(name)
        if key is None:
            if len(self._keys) >= MAX_KEYS:
                raise TooManyKeys
            self._keys[name] = _Key(row.observed_at)
        elif row.observed_at < key.first_ms:
            key.first_ms = row.observed_at

    def topics(self) -> frozenset[str]:
        """Return the topics that rows go to."""
        return frozenset(topic for topic, _ in self._keys)

    def logged(self, topic: str, name: bytes | None, value: bytes | None) -> None:
        """Take a record of the log, in its order."""
        key = self._keys.get((topic, name or b""))
        if key is None:
            return
        moment = newest_moment(value)
        key.newest_ms = max(key.newest_ms, moment)
        if moment >= key.first_ms:
            key.logged += 1
            key.logged_sum += _fingerprint(value or b"")

    def walk(self, topic: str, name: bytes, value: bytes) -> None:
        """Take a row, in the order in which rows are written."""
        key = self._keys[topic, name]
        key.rows += 1
        if key.rows <= key.logged:
            key.walked_sum += _fingerprint(value)
            if key.rows == key.logged:
                key.is_prefix = key.walked_sum == key.logged_sum

    def decide(self) -> None:
        """Decide for each key, when all rows and records were taken."""
        for (topic, name), key in self._keys.items():
            if key.is_prefix:
                key.skip = key.logged
                self.in_log += key.skip
                self.to_write += key.rows - key.skip
            elif key.newest_ms > key.first_ms:
                key.is_refused = True
                self.refused_rows += key.rows
                shown = name.decode(errors="replace")
                self.refused.append(
                    RefusedKey(topic, shown, key.first_ms, key.newest_ms)
                )
            else:
                self.to_write += key.rows

    def takes(self, topic: str, name: bytes) -> bool:
        """Tell whether the next row of a key is to be written."""
        key = self._keys[topic, name]
        key.walked += 1
        return not key.is_refused and key.walked > key.skip


def _fingerprint(value: bytes) -> int:
    # Added up, so that rows of one moment may have changed places between two runs.
    return int.from_bytes(blake2b(value, digest_size=16).digest())
