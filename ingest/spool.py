"""Rows of history sorted, however many there are: in memory, then in temporary files."""

import heapq
import struct
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack
from tempfile import TemporaryFile
from typing import IO, NamedTuple, Self

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
    the folder for temporary files (``TMPDIR``). They take about as much room as the rows,
    and have no names, so that they are gone even if the process is killed.
    """

    def __init__(
        self, *, run_bytes: int = RUN_BYTES, merged_at_once: int = MERGED_AT_ONCE
    ) -> None:
        self._run_bytes, self._merged_at_once = run_bytes, merged_at_once
        self._rows: list[bytes] = []
        self._size_bytes = 0
        self._files: list[IO[bytes]] = []
        self._open_files = ExitStack()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Give up all temporary files."""
        self._open_files.close()

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
        """Yield all rows in order; again when it is asked again."""
        self._rows.sort()
        streams = [*map(_read, self._files), iter(self._rows)]
        return map(_unpacked, heapq.merge(*streams))

    def _spill(self) -> None:
        self._rows.sort()
        self._files.append(_written(self._rows, self._open_files))
        self._rows, self._size_bytes = [], 0
        if len(self._files) >= self._merged_at_once:
            merging = self._open_files
            self._open_files = ExitStack()
            with merging:
                rows = heapq.merge(*map(_read, self._files))
                self._files = [_written(rows, self._open_files)]


def _written(rows: Iterable[bytes], open_files: ExitStack) -> IO[bytes]:
    file: IO[bytes] = open_files.enter_context(TemporaryFile())  # noqa: SIM115 - closed by the stack
    for row in rows:
        file.write(_LENGTH.pack(len(row)))
        file.write(row)
    return file


def _read(file: IO[bytes]) -> Iterator[bytes]:
    file.seek(0)
    while head := file.read(_LENGTH.size):
        (length,) = _LENGTH.unpack(head)
        yield file.read(length)


def _unpacked(packed: bytes) -> SpooledRow:
    major, minor, file, number = _PLACE.unpack_from(packed)
    topic, key_length = _HEAD.unpack_from(packed, _PLACE.size)
    start = _PLACE.size + _HEAD.size
    end = start + key_length
    order = Order(major, minor)
    return SpooledRow(RAW[topic], packed[start:end], packed[end:], order, file, number)
