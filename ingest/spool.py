"""Rows of history sorted, however many there are: in memory, then in temporary files."""

import heapq
import struct
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple, Self

from ingest.core.history_rows import HistoryRow, Order
from schemas.topics import RAW

# So much is sorted in memory at a time.
RUN_BYTES = 64 * 1_048_576
# So many sorted files are merged at a time.
MERGED_AT_ONCE = 64

# Order, file and line; as bytes they sort as the numbers do.
_PLACE = struct.Struct(">QQIQ")
_HEAD = struct.Struct(">BH")
_LENGTH = struct.Struct(">I")


class SpooledRow(NamedTuple):
    """A row as it comes back, with the file and the line that it stood in."""

    topic: str
    key: bytes
    value: bytes
    order: Order
    file: int
    number: int


class Spool(AbstractContextManager["Spool"]):
    """Takes rows in any order and gives them back sorted by ``Order``, file and line.

    Up to ``run_bytes`` of rows are held in memory. More are written to sorted files in
    the folder for temporary files (``TMPDIR``), which are deleted in the end. They take
    about as much room as the rows.
    """

    def __init__(
        self, *, run_bytes: int = RUN_BYTES, merged_at_once: int = MERGED_AT_ONCE
    ) -> None:
        self._run_bytes, self._merged_at_once = run_bytes, merged_at_once
        self._rows: list[bytes] = []
        self._size_bytes = 0
        self._files: list[Path] = []
        self._written = 0
        self._folder = TemporaryDirectory(prefix="stacks-feed-backfill-")

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Delete all temporary files."""
        self._folder.cleanup()

    def add(self, row: HistoryRow, *, file: int, number: int) -> None:
        """Take a row."""
        packed = b"".join(
            (
                _PLACE.pack(*row.order, file, number),
                _HEAD.pack(RAW.index(row.topic), len(row.key)),
                row.key,
                row.value,
            )
        )
        self._rows.append(packed)
        self._size_bytes += len(packed)
        if self._size_bytes >= self._run_bytes:
            self._spill()

    def sorted(self) -> Iterator[SpooledRow]:
        """Yield all rows in order; may be asked for several times."""
        self._rows.sort()
        streams = [*map(_read, self._files), iter(self._rows)]
        return map(_unpacked, heapq.merge(*streams))

    def _spill(self) -> None:
        self._rows.sort()
        self._files.append(self._write(self._rows))
        self._rows, self._size_bytes = [], 0
        if len(self._files) >= self._merged_at_once:
            merged = self._write(heapq.merge(*map(_read, self._files)))
            for path in self._files:
                path.unlink()
            self._files = [merged]

    def _write(self, rows: Iterable[bytes]) -> Path:
        self._written += 1
        path = Path(self._folder.name) / f"{self._written}"
        with path.open("wb") as opened:
            for row in rows:
                opened.write(_LENGTH.pack(len(row)))
                opened.write(row)
        return path


def _read(path: Path) -> Iterator[bytes]:
    with path.open("rb") as opened:
        while head := opened.read(_LENGTH.size):
            (length,) = _LENGTH.unpack(head)
            yield opened.read(length)


def _unpacked(packed: bytes) -> SpooledRow:
    major, minor, file, number = _PLACE.unpack_from(packed)
    topic, key_length = _HEAD.unpack_from(packed, _PLACE.size)
    start = _PLACE.size + _HEAD.size
    end = start + key_length
    order = Order(major, minor)
    return SpooledRow(RAW[topic], packed[start:end], packed[end:], order, file, number)
