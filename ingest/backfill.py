"""History from files into the raw topics, with the moments it was observed at."""

import asyncio
import csv
import importlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from eventlog.partition import partition_of
from eventlog.port import Batches, Entry, EventLog, Partition, read_to
from ingest.core.history import (
    COLUMNS,
    OPTIONAL_COLUMNS,
    BadRow,
    Past,
    from_columns,
    from_json,
    newest_moment,
)
from ingest.core.merge import Line, merged
from schemas.base import MAX_RECORD_BYTES
from schemas.topics import RAW, partition_key

_CHUNK_LINES = 5_000
_CHUNK_BYTES = 4 * 1_048_576
_BAD_LINES_KEPT = 1_000

# Called with the phase ("scan" in records, "write" in bytes of the files), how much
# of it is done, and how much it is in all.
Progress = Callable[[str, int, int], None]


class BackfillRefused(Exception):
    """A file cannot be used at all; nothing of this run was written."""


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that was not written; ``str`` of it is ``file:line: why``."""

    file: Path
    line: int
    why: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.why}"


@dataclass(slots=True)
class BackfillReport:
    """What became of the lines: ``lines`` = ``written`` + ``bad`` + ``refused``."""

    lines: int = 0
    written: int = 0
    bad: int = 0
    refused: int = 0
    # The first thousand; `bad` counts all.
    bad_lines: list[BadLine] = field(default_factory=list)
    # Topic and key, of which the log already holds newer observations.
    refused_keys: list[tuple[str, str]] = field(default_factory=list)


async def backfill(
    log: EventLog,
    files: Sequence[Path],
    *,
    partitions: int,
    progress: Progress = lambda *_: None,
) -> BackfillReport:
    """Append the observations of all files, merged by (``observedAt``, ``sequence``).

    ``.jsonl`` and ``.ndjson``: a raw record's value a line. ``.csv`` and ``.parquet``:
    prices with the columns contractId, source, usd, observedAt (ms) and perhaps
    sequence. Lines of a file may stand up to 65,536 lines from their order. A key of
    which the log holds an observation newer than the key's first line is refused as a
    whole. Bad lines are counted and skipped. Raises ``BackfillRefused`` for a file that
    cannot be read, and ``LogError``; then a part may have been written.
    """
    meter = _Meter(sum(_size(path) for path in files), progress)
    sources = [_lines(path, i, meter) for i, path in enumerate(files)]
    newest = await _newest_moments(log, partitions, progress)
    run = _Run(files, newest, partitions)
    lines = merged(sources)
    while chunk := await asyncio.to_thread(run.take, lines):
        for topic, entries in chunk.items():
            await log.append(topic, entries)
            run.report.written += len(entries)
        meter.show()
    return run.report


class _Meter:
    """How many bytes of the files have been read."""

    def __init__(self, total: int, progress: Progress) -> None:
        self._total, self._progress, self._done = total, progress, 0

    def add(self, size: int) -> None:
        self._done += size

    def show(self) -> None:
        self._progress("write", min(self._done, self._total), self._total)


class _Run:
    """Sorts lines into what is written, bad and refused."""

    def __init__(
        self, files: Sequence[Path], newest: Mapping[tuple[str, bytes], int], parts: int
    ) -> None:
        self.report = BackfillReport()
        self._files, self._newest, self._partitions = files, newest, parts
        self._accepted: dict[tuple[str, bytes], bool] = {}

    def take(self, lines: Iterator[Line]) -> dict[str, list[tuple[int, Entry]]]:
        """Return what is next to append, by topic; empty at the end of the files."""
        chunk: dict[str, list[tuple[int, Entry]]] = defaultdict(list)
        taken = size = 0
        for line in lines:
            self.report.lines += 1
            past = self._checked(line)
            if past is not None:
                partition = partition_of(partition_key(past.key), self._partitions)
                chunk[past.topic].append((partition, Entry(past.key, past.value)))
                taken, size = taken + 1, size + len(past.value)
            if taken >= _CHUNK_LINES or size >= _CHUNK_BYTES:
                break
        return chunk

    def _checked(self, line: Line) -> Past | None:
        row = line.row
        if isinstance(row, BadRow):
            self._bad(line, row.why)
            return None
        if not self._accepts(row):
            self.report.refused += 1
            return None
        return row

    def _accepts(self, past: Past) -> bool:
        key = (past.topic, past.key)
        if key not in self._accepted:
            # The first line of a key is its oldest, so it decides for the key.
            self._accepted[key] = self._newest.get(key, -1) <= past.observed_at
            if not self._accepted[key]:
                self.report.refused_keys.append((past.topic, past.key.decode()))
        return self._accepted[key]

    def _bad(self, line: Line, why: str) -> None:
        self.report.bad += 1
        if len(self.report.bad_lines) < _BAD_LINES_KEPT:
            found = BadLine(self._files[line.file], line.number, why)
            self.report.bad_lines.append(found)


async def _newest_moments(
    log: EventLog, partitions: int, progress: Progress
) -> Mapping[tuple[str, bytes], int]:
    """Read the raw topics once; return the newest moment of each key."""
    parts = [Partition(topic, p) for topic in RAW for p in range(partitions)]
    oldest, ends = await log.oldest(parts), await log.ends(parts)
    total = sum(ends[p] - oldest[p] for p in parts)
    newest: dict[tuple[str, bytes], int] = {}
    async with log.reader(oldest) as reader:
        async for batches in read_to(reader, ends):
            _note(newest, batches)
            done = sum(min(reader.position(p), ends[p]) - oldest[p] for p in parts)
            progress("scan", done, total)
    return newest


def _note(newest: dict[tuple[str, bytes], int], batches: Batches) -> None:
    for part, records in batches.items():
        for record in records:
            key = (part.topic, record.key or b"")
            newest[key] = max(newest_moment(record.value), newest.get(key, -1))


def _size(path: Path) -> int:
    if not path.is_file():
        raise BackfillRefused(f"{path}: no such file")
    return path.stat().st_size


def _lines(path: Path, file: int, meter: _Meter) -> Iterator[Line]:
    """Return the lines of one file, by what its name says it is."""
    match path.suffix.lower():
        case ".jsonl" | ".ndjson":
            return _json_lines(path, file, meter)
        case ".csv":
            return _csv_lines(path, file, meter)
        case ".parquet":
            return _parquet_lines(path, file, meter)
        case suffix:
            raise BackfillRefused(
                f"{path}: {suffix or 'no suffix'} is none of .jsonl, .ndjson, .csv, .parquet"
            )


def _raw_lines(path: Path, meter: _Meter) -> Iterator[bytes]:
    """Yield the lines of a file; of one longer than a record may be, its pieces."""
    with path.open("rb") as opened:
        while line := opened.readline(MAX_RECORD_BYTES + 2):
            meter.add(len(line))
            yield line


def _json_lines(path: Path, file: int, meter: _Meter) -> Iterator[Line]:
    whole, number = True, 0
    for line in _raw_lines(path, meter):
        number += whole
        # A piece of a line that is too long is no JSON: each is bad, under one number.
        whole = line.endswith(b"\n")
        if line.strip():
            yield Line(file, number, from_json(line))


def _csv_lines(path: Path, file: int, meter: _Meter) -> Iterator[Line]:
    texts = (line.decode(errors="replace") for line in _raw_lines(path, meter))
    rows = csv.reader(texts)
    header = [name.strip().lstrip("\ufeff") for name in next(rows, [])]
    _check_columns(path, header)
    while True:
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            yield Line(file, rows.line_num, BadRow(f"not CSV: {error}"))
            continue
        if row:
            yield Line(file, rows.line_num, _csv_row(header, row))


def _csv_row(header: Sequence[str], row: Sequence[str]) -> Past | BadRow:
    if len(row) != len(header):
        return BadRow(f"{len(row)} columns, the header has {len(header)}")
    return from_columns(dict(zip(header, row, strict=True)))


def _parquet_lines(path: Path, file: int, meter: _Meter) -> Iterator[Line]:
    opened = _open_parquet(path)
    _check_columns(path, opened.schema_arrow.names)
    numbers = count(1)
    for batch in opened.iter_batches(columns=_wanted(opened.schema_arrow.names)):
        meter.add(batch.nbytes)
        for row in batch.to_pylist():
            yield Line(file, next(numbers), from_columns(row))


def _open_parquet(path: Path) -> Any:
    try:
        parquet = importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise BackfillRefused(
            f"{path}: reading Parquet needs the extra `parquet`: "
            "pip install 'stacks-feed[parquet]'"
        ) from error
    try:
        return parquet.ParquetFile(path)
    except (OSError, ValueError) as error:
        raise BackfillRefused(f"{path}: not a Parquet file: {error}") from error


def _wanted(names: Iterable[str]) -> list[str]:
    return [name for name in names if name in {*COLUMNS, *OPTIONAL_COLUMNS}]


def _check_columns(path: Path, names: Sequence[str]) -> None:
    missing = [name for name in COLUMNS if name not in names]
    if missing:
        raise BackfillRefused(f"{path}: the column {missing[0]} is missing")
