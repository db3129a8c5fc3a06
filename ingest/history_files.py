"""Files of history as rows: encodings, line ends, compression, CSV, JSON Lines, Parquet."""

import codecs
import csv
import gzip
import importlib
import io
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

from eventlog.port import MAX_RECORD_BYTES
from ingest.core.history_rows import (
    KNOWN_COLUMNS,
    HistoryRow,
    Layout,
    RefusedRow,
    RowReader,
    Severity,
    Time,
    float_text,
)

# A record in an export is text within text, which can be twice as long.
_MAX_LINE = 4 * MAX_RECORD_BYTES
_MAX_FIELD = 2 * MAX_RECORD_BYTES
_DELIMITERS = (",", ";", "\t", "|")
# Rows of Parquet that are in memory at a time; a reading of an account may be long.
_PARQUET_ROWS = 1_024
_TEXT_SUFFIXES = (".jsonl", ".ndjson", ".csv", ".tsv")
SUFFIXES = (*_TEXT_SUFFIXES, ".parquet")

# Called with the number of bytes of a file that were read since the last call.
Meter = Callable[[int], None]


class FileUnusable(Exception):
    """A file cannot be used at all; the text begins with its path."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"{path}: {' '.join(why.split())}")


class FileRow(NamedTuple):
    """A row and the number of the line at which it ends; of Parquet that of the row."""

    number: int
    row: HistoryRow | RefusedRow


def read_rows(path: Path, reader: RowReader, meter: Meter) -> Iterator[FileRow]:
    """Yield the rows of a file, by what its name says it is.

    ``.jsonl``, ``.ndjson``, ``.csv`` and ``.tsv``, which may be compressed by gzip, and
    ``.parquet``. Raises ``FileUnusable``, now or at any row.
    """
    if path.is_dir():
        raise FileUnusable(path, "is a folder that holds no export; name its files")
    if not path.exists():
        raise FileUnusable(path, "no such file")
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes[-1:] == [".gz"]:
        suffixes.pop()
    suffix = suffixes[-1] if suffixes else ""
    if suffix not in SUFFIXES:
        raise FileUnusable(
            path, f"its name does not end in one of {', '.join(SUFFIXES)}"
        )
    with _opened(path, meter) as opened:
        if suffix == ".parquet":
            yield from _parquet_rows(path, opened, reader)
        elif suffix in {".csv", ".tsv"}:
            yield from _csv_rows(path, opened, reader)
        else:
            yield from _json_rows(path, opened, reader)


@contextmanager
def _opened(path: Path, meter: Meter) -> Iterator["_Metered"]:
    """Open a file; say whatever is wrong with it in one line that begins with its path."""
    try:
        with path.open("rb", buffering=0) as raw:
            yield _Metered(raw, meter)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise FileUnusable(path, f"damaged, not a whole gzip file: {error}") from error
    except UnicodeError as error:
        raise FileUnusable(path, f"damaged, not {_encoding_of(error)}") from error
    except OSError as error:
        raise FileUnusable(path, error.strerror or f"{error}") from error


def _encoding_of(error: UnicodeError) -> str:
    return f"{getattr(error, 'encoding', 'text').upper()} text"


class _Metered(io.RawIOBase):
    """A file that tells how much of it was read."""

    def __init__(self, raw: IO[bytes], meter: Meter) -> None:
        super().__init__()
        self._raw, self._meter = raw, meter

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._raw.seekable()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._raw.seek(offset, whence)

    def tell(self) -> int:
        return self._raw.tell()

    def readinto(self, buffer: Any) -> int:
        data = self._raw.read(len(buffer))
        buffer[: len(data)] = data
        self._meter(len(data))
        return len(data)


# ---- text


class _Line(NamedTuple):
    number: int
    text: str
    is_whole: bool


def _lines(path: Path, opened: _Metered) -> Iterator[_Line]:
    """Yield the lines of a text, of which a longer one than any record is cut.

    Lines end in LF, CR LF or CR, and keep that.
    """
    text = _decoded(path, io.BufferedReader(opened))
    number, is_empty = 0, True
    while line := text.readline(_MAX_LINE):
        number += 1
        is_whole = len(line) < _MAX_LINE
        if not is_whole:
            _skip_line(text, line)
        is_empty = is_empty and not line.strip()
        yield _Line(number, line, is_whole)
    if is_empty:
        raise FileUnusable(path, "is empty")


def _skip_line(text: io.TextIOWrapper, piece: str) -> None:
    while piece and not piece.endswith(("\n", "\r")):
        piece = text.readline(_MAX_LINE)


_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def _decoded(path: Path, binary: io.BufferedReader) -> io.TextIOWrapper:
    if binary.peek(2).startswith(b"\x1f\x8b"):
        unpacked: Any = gzip.GzipFile(fileobj=binary)
        binary = io.BufferedReader(unpacked)
    head = binary.peek(4)[:4]
    if head == b"PAR1":
        raise FileUnusable(path, "is Parquet; its name must end in .parquet")
    encoding = next(
        (name for mark, name in _BYTE_ORDER_MARKS if head.startswith(mark)),
        _unmarked(head),
    )
    # Bytes that are not UTF-8 make their own line bad, not the file: they survive as surrogates.
    errors = "surrogateescape" if encoding.startswith("utf-8") else "strict"
    return io.TextIOWrapper(binary, encoding=encoding, errors=errors, newline="")


def _unmarked(head: bytes) -> str:
    """Return the encoding of a text without a byte order mark, all of ASCII at first."""
    match [byte == 0 for byte in head]:
        case [False, True, *_]:
            return "utf-16-le"
        case [True, False, *_]:
            return "utf-16-be"
        case _:
            return "utf-8"


def _json_rows(path: Path, opened: _Metered, reader: RowReader) -> Iterator[FileRow]:
    for number, text, is_whole in _lines(path, opened):
        line = text.encode(errors="surrogateescape")
        if not is_whole:
            yield FileRow(number, _TOO_LONG)
        elif line.strip():
            yield FileRow(number, reader.json_line(line))


_TOO_LONG = RefusedRow("longer than any record")


# ---- CSV


def _csv_rows(path: Path, opened: _Metered, reader: RowReader) -> Iterator[FileRow]:
    # The limit is one of the whole process; nothing else in it reads CSV.
    csv.field_size_limit(_MAX_FIELD)
    lines = _lines(path, opened)
    header = next(line for line in lines if line.text.strip())
    names, delimiter = _header(path, header.text)
    refused = reader.columns_refused(names)
    if refused:
        raise FileUnusable(path, refused)
    too_long: list[int] = []
    # The lines of the row that is being read.
    taken: list[str] = []
    rows = csv.reader(
        _within_limit(lines, too_long, taken),
        delimiter=delimiter,
        skipinitialspace=True,
    )
    for row in _csv_read(rows):
        yield from (FileRow(number, _TOO_LONG) for number in too_long)
        too_long.clear()
        # A field in quotes may go on in the next line: rows are counted by their last one.
        number = header.number + rows.line_num
        if _holds_rows(taken[1:], names, delimiter, reader):
            yield FileRow(number, _UNCLOSED)
        elif isinstance(row, RefusedRow):
            yield FileRow(number, row)
        elif row:
            yield FileRow(number, _csv_row(names, row, reader))
        taken.clear()
    yield from (FileRow(number, _TOO_LONG) for number in too_long)


# Left open, a quote takes all rows up to the next one into its field.
_UNCLOSED = RefusedRow(
    "a field in quotes goes on over other rows",
    severity=Severity.FATAL,
    remedy="a quote is opened and not closed in the lines before",
)


def _holds_rows(
    more_lines: Sequence[str], names: Sequence[str], delimiter: str, reader: RowReader
) -> bool:
    """Tell whether the lines on which a row goes on have rows of their own."""
    return any(
        isinstance(_csv_row(names, row, reader), HistoryRow)
        for line in more_lines
        for row in _csv_read(
            csv.reader([line], delimiter=delimiter, skipinitialspace=True)
        )
        if not isinstance(row, RefusedRow)
    )


def _within_limit(
    lines: Iterable[_Line], too_long: list[int], taken: list[str]
) -> Iterator[str]:
    for number, text, is_whole in lines:
        if is_whole:
            taken.append(text)
            yield text
        else:
            too_long.append(number)
            yield "\n"


def _csv_read(rows: Iterator[list[str]]) -> Iterator[list[str] | RefusedRow]:
    while True:
        try:
            yield next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            yield RefusedRow(f"not CSV: {error}")


def _header(path: Path, line: str) -> tuple[list[str], str]:
    """Return the names of the columns and what stands between them."""
    try:
        candidates = [
            ([name.strip() for name in row], delimiter)
            for delimiter in _DELIMITERS
            for row in csv.reader([line], delimiter=delimiter, skipinitialspace=True)
        ]
    except csv.Error as error:
        raise FileUnusable(path, f"its header is no CSV: {error}") from error
    return max(candidates, key=lambda found: len(found[0]), default=([], ","))


def _csv_row(
    names: Sequence[str], row: Sequence[str], reader: RowReader
) -> HistoryRow | RefusedRow:
    more = row[len(names) :]
    if len(row) < len(names) or any(cell.strip() for cell in more):
        return RefusedRow(f"{len(row)} columns, the header has {len(names)}")
    if reader.layout is not Layout.EXPORT:
        # The values of an export are kept byte for byte.
        row = [cell.strip(" \t") for cell in row]
    return reader.row(dict(zip(names, row, strict=False)))


# ---- Parquet


def _parquet_rows(path: Path, opened: _Metered, reader: RowReader) -> Iterator[FileRow]:
    arrow, parquet = _pyarrow(path)
    try:
        file = parquet.ParquetFile(opened)
        names = file.schema_arrow.names
        refused = reader.columns_refused(names)
        if refused:
            raise FileUnusable(path, refused)
        wanted = [name for name in names if name in KNOWN_COLUMNS]
        number = 0
        for batch in file.iter_batches(batch_size=_PARQUET_ROWS, columns=wanted):
            columns = [_cells(arrow, column) for column in batch.columns]
            for cells in zip(*columns, strict=True):
                number += 1
                row = dict(zip(batch.schema.names, cells, strict=True))
                yield FileRow(number, reader.row(row))
    except (arrow.ArrowException, OSError, ValueError) as error:
        raise FileUnusable(path, f"damaged, not a Parquet file: {error}") from error


def _pyarrow(path: Path) -> tuple[Any, Any]:
    try:
        return (
            importlib.import_module("pyarrow"),
            importlib.import_module("pyarrow.parquet"),
        )
    except ImportError:
        raise FileUnusable(
            path,
            "reading Parquet needs the extra `parquet`: pip install 'stacks-feed[parquet]'",
        ) from None


_PER_MS: Mapping[str, tuple[int, int]] = {
    "s": (1_000, 1),
    "ms": (1, 1),
    "us": (1, 1_000),
    "ns": (1, 1_000_000),
}


def _cells(arrow: Any, column: Any) -> list[Any]:
    """Return the values of a column; of times and short floats what they stand for."""
    kind = column.type
    if arrow.types.is_timestamp(kind):
        times, each = _PER_MS[kind.unit]
        found = column.cast(arrow.int64()).to_pylist()
        return [None if n is None else Time(n * times // each) for n in found]
    code = "e" if arrow.types.is_float16(kind) else "f"
    if code == "e" or arrow.types.is_float32(kind):
        return [
            None if n is None else float_text(n, code=code) for n in column.to_pylist()
        ]
    return list(column.to_pylist())
