"""History from files into the raw topics, with the moments it was observed at.

All files are read, checked and sorted before anything is written, because a log cannot be
corrected: what is appended stays, and a key takes nothing older than it has.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import gettempdir

import orjson

from eventlog.partition import partition_of
from eventlog.port import (
    MAX_RECORD_BYTES,
    Batches,
    Entry,
    EventLog,
    Partition,
    Record,
    RecordTooLarge,
    read_to,
    record_bytes,
)
from ingest.core.history_plan import (
    FileReport,
    KeyPlans,
    RefusedKey,
    TooManyKeys,
)
from ingest.core.history_rows import HistoryRow, Layout, RefusedRow, RowRules, Severity
from ingest.history_files import FileUnusable, Meter, read_rows
from ingest.spool import Spool, SpooledRow
from schemas.topics import partition_key

_CHUNK_ROWS = 5_000
_CHUNK_BYTES = 4 * 1_048_576
_MANIFEST, _OBSERVATIONS = "manifest.json", "observations/"

# Called with the phase ("read" in bytes of the files, "scan" in records of the log, "sort"
# and "write" in rows), how much of it is done, and how much it is in all.
Progress = Callable[[str, int, int], None]


class BackfillRefused(Exception):
    """The files cannot be used; nothing of them was written."""


class BackfillStopped(Exception):
    """The log refused a record half-way; what was written before stays."""


@dataclass(frozen=True, slots=True)
class BackfillConfig:
    """Where rows go and which are accepted.

    ``partitions`` is how many the log has. With ``skip_bad`` rows that are bad do not keep
    the others from being written.
    """

    partitions: int
    rules: RowRules
    skip_bad: bool = False


@dataclass(slots=True)
class BackfillReport:
    """The contents of the files, and what becomes of their rows.

    ``lines`` is the sum of ``bad``, ``left_out`` (refused by the log that was exported as
    well), ``repeated`` (there twice in an export), ``refused`` (of a key with newer
    observations), ``in_log`` (written before) and ``to_write``. ``written`` grows up to
    ``to_write``.
    """

    files: list[FileReport] = field(default_factory=list)
    repeated: int = 0
    in_log: int = 0
    refused: int = 0
    to_write: int = 0
    written: int = 0
    keys: int = 0
    refused_keys: Sequence[RefusedKey] = ()

    @property
    def lines(self) -> int:
        """How many rows the files have."""
        refused = (file.count(severity) for file in self.files for severity in Severity)
        return sum(file.rows for file in self.files) + sum(refused)

    @property
    def bad(self) -> int:
        """How many rows cannot be written."""
        return self._count(Severity.BAD) + self.fatal

    @property
    def fatal(self) -> int:
        """How many rows say that their file is not what it is taken for."""
        return self._count(Severity.FATAL)

    @property
    def left_out(self) -> int:
        """How many rows of an export its own log had refused."""
        return self._count(Severity.LEFT_OUT)

    def _count(self, severity: Severity) -> int:
        return sum(file.count(severity) for file in self.files)


class Backfill:
    """A plan that has been made: ``report`` says what ``write`` would do."""

    def __init__(
        self,
        log: EventLog,
        config: BackfillConfig,
        report: BackfillReport,
        *,
        rows: Iterator[SpooledRow],
        keys: KeyPlans,
        progress: Progress,
    ) -> None:
        self.report = report
        self._log, self._config, self._progress = log, config, progress
        self._rows, self._keys = rows, keys

    @property
    def is_blocked(self) -> bool:
        """Whether bad rows keep everything from being written."""
        return self.report.fatal > 0 or (
            self.report.bad > 0 and not self._config.skip_bad
        )

    async def write(self) -> None:
        """Write the rows, once; ``report.written`` counts those that are in the log.

        Raises ``LogError`` and ``BackfillStopped``. After that, and after a cancellation,
        the same files may be read again: the next run goes on where this one ended.
        """
        if self.is_blocked:
            raise BackfillRefused("there are bad rows; nothing was written")
        while chunk := await asyncio.to_thread(self._take):
            for topic, entries in chunk.items():
                try:
                    await self._log.append(topic, entries)
                except RecordTooLarge as error:
                    raise BackfillStopped(
                        f"{error}, the limit of that topic; raise its max.message.bytes"
                    ) from error
                self.report.written += len(entries)
            self._progress("write", self.report.written, self.report.to_write)

    def _take(self) -> dict[str, list[tuple[int, Entry]]]:
        """Return what is next to append, by topic; empty at the end."""
        chunk: dict[str, list[tuple[int, Entry]]] = defaultdict(list)
        count = size_bytes = 0
        for row in self._rows:
            if not self._keys.takes(row.topic, row.key):
                continue
            partition = partition_of(partition_key(row.key), self._config.partitions)
            chunk[row.topic].append((partition, Entry(row.key, row.value)))
            count, size_bytes = count + 1, size_bytes + len(row.value)
            if count >= _CHUNK_ROWS or size_bytes >= _CHUNK_BYTES:
                break
        return chunk


@asynccontextmanager
async def planned(
    log: EventLog,
    files: Sequence[Path],
    config: BackfillConfig,
    *,
    progress: Progress = lambda *_: None,
) -> AsyncIterator[Backfill]:
    """Read and check all files and compare them with the log; yield what is to be done.

    A folder stands for the observations of the export that it holds. Raises
    ``BackfillRefused`` for files that cannot be used at all, and ``LogError``.
    """
    report, keys = BackfillReport(), KeyPlans()
    with Spool() as spool:
        await _read(files, config, report, keys, spool, progress)
        is_export = _is_export(report.files)
        await _scan(log, keys, config.partitions, progress)
        rows = _distinct(spool.sorted(), report) if is_export else spool.sorted()
        total = sum(file.rows for file in report.files)
        await _in_slices(_walk(rows, keys, _meter(progress, "sort", total)))
        keys.decide()
        report.keys, report.refused_keys = len(keys), keys.refused
        report.in_log, report.refused = keys.in_log, keys.refused_rows
        report.to_write = keys.to_write
        rows = _distinct(spool.sorted()) if is_export else spool.sorted()
        yield Backfill(log, config, report, rows=rows, keys=keys, progress=progress)


def _meter(progress: Progress, phase: str, total: int) -> Meter:
    done = 0

    def add(count: int) -> None:
        nonlocal done
        done += count
        progress(phase, min(done, total), total)

    return add


async def _in_slices(work: Iterator[None]) -> None:
    """Do work in a thread, some at a time, so that it can be interrupted."""

    def some() -> bool:
        return all(next(work, _ENDED) is None for _ in range(_CHUNK_ROWS))

    while await asyncio.to_thread(some):
        pass


_ENDED = object()


# ---- reading


def _named(files: Sequence[Path]) -> list[Path]:
    """Return all files; of a folder those that its manifest names."""
    found: dict[Path, Path] = {}
    for named in files:
        try:
            parts = [(part.resolve(), part) for part in _parts(named)]
        except RuntimeError:
            raise FileUnusable(named, "is a link to itself") from None
        except OSError as error:
            raise FileUnusable(named, error.strerror or f"{error}") from error
        for place, part in parts:
            if place in found:
                raise FileUnusable(part, "is named twice")
            found[place] = part
    return list(found.values())


def _parts(named: Path) -> list[Path]:
    manifest = named / _MANIFEST
    if not (named.is_dir() and manifest.is_file()):
        return [named]
    try:
        parts = dict(orjson.loads(manifest.read_bytes())["parts"])
        sizes = {path: part["sizeBytes"] for path, part in parts.items()}
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        raise FileUnusable(manifest, "is not the manifest of an export") from None
    wanted = {
        path: size for path, size in sizes.items() if path.startswith(_OBSERVATIONS)
    }
    if not wanted:
        raise FileUnusable(
            named,
            "holds no observations; `audit export --what observations` writes them",
        )
    for path, size in wanted.items():
        part = named / path
        if not part.is_file() or part.stat().st_size != size:
            raise FileUnusable(part, "is not as the export left it; export it again")
    return [named / path for path in sorted(wanted)]


async def _read(
    files: Sequence[Path],
    config: BackfillConfig,
    report: BackfillReport,
    keys: KeyPlans,
    spool: Spool,
    progress: Progress,
) -> None:
    try:
        reading = _Reading(_named(files), config, report, keys=keys, spool=spool)
        await _in_slices(reading.rows(_meter(progress, "read", reading.size_bytes)))
    except (FileUnusable, TooManyKeys) as error:
        raise BackfillRefused(f"{error}") from None
    except OSError as error:
        raise BackfillRefused(
            f"rows cannot be sorted in {gettempdir()}: {error.strerror}; TMPDIR names "
            "another folder"
        ) from error


class _Reading:
    """Reads the files into the spool and tells the plans of their keys."""

    def __init__(
        self,
        files: Sequence[Path],
        config: BackfillConfig,
        report: BackfillReport,
        *,
        keys: KeyPlans,
        spool: Spool,
    ) -> None:
        self._files, self._rules = files, config.rules
        self._report, self._keys, self._spool = report, keys, spool
        self.size_bytes = sum(file.stat().st_size for file in files if file.is_file())

    def rows(self, meter: Meter) -> Iterator[None]:
        """Read all rows; yields after each."""
        for index, path in enumerate(self._files):
            report = FileReport(f"{path}", self._rules)
            self._report.files.append(report)
            for number, row in read_rows(path, report.reader, meter):
                usable = _checked(row)
                if isinstance(usable, RefusedRow):
                    report.refuse(usable, number)
                else:
                    report.add(usable)
                    self._keys.add(usable)
                    self._spool.add(usable, file=index, number=number)
                yield
            report.end()


def _checked(row: HistoryRow | RefusedRow) -> HistoryRow | RefusedRow:
    if isinstance(row, RefusedRow):
        return row
    size_bytes = record_bytes(Entry(row.key, row.value))
    if size_bytes <= MAX_RECORD_BYTES:
        return row
    return RefusedRow(
        f"larger than the {MAX_RECORD_BYTES:,} bytes that a log takes",
        f"{size_bytes:,} bytes",
    )


def _is_export(files: Sequence[FileReport]) -> bool:
    """Tell whether all files are of an export; refuse some that are among others."""
    exports = [file for file in files if file.layout is Layout.EXPORT]
    if exports and any(file.layout not in {Layout.EXPORT, None} for file in files):
        raise BackfillRefused(
            f"{exports[0].name}: is an export of observations, which is read back without "
            "other files"
        )
    return bool(exports)


# ---- comparing with the log


async def _scan(
    log: EventLog, keys: KeyPlans, partitions: int, progress: Progress
) -> None:
    """Read what the raw topics hold of the keys of the files."""
    parts = [Partition(t, n) for t in sorted(keys.topics()) for n in range(partitions)]
    if not parts:
        return
    oldest, ends = await log.oldest(parts), await log.ends(parts)
    total = sum(ends[p] - oldest[p] for p in parts)
    async with log.reader(oldest) as reader:
        async for batches in read_to(reader, ends):
            for topic, record in _records(batches):
                keys.logged(topic, record.key, record.value)
            done = sum(min(reader.position(p), ends[p]) - oldest[p] for p in parts)
            progress("scan", done, total)


def _records(batches: Batches) -> Iterator[tuple[str, Record]]:
    for part, records in batches.items():
        for record in records:
            yield part.topic, record


def _walk(rows: Iterable[SpooledRow], keys: KeyPlans, meter: Meter) -> Iterator[None]:
    """Tell the plans of all rows in their order; yields after each."""
    for number, row in enumerate(rows, 1):
        keys.walk(row.topic, row.key, row.value)
        if number % _CHUNK_ROWS == 0:
            meter(_CHUNK_ROWS)
        yield


def _distinct(
    rows: Iterable[SpooledRow], report: BackfillReport | None = None
) -> Iterator[SpooledRow]:
    """Yield each record of an export once, by its offset.

    With a report the others are counted, and ones that differ are refused.
    """
    last: SpooledRow | None = None
    for row in rows:
        if last is None or row.order != last.order:
            last = row
            yield row
        elif report is not None:
            report.repeated += 1
            _refuse_two_logs(last, row, report)


def _refuse_two_logs(
    one: SpooledRow, other: SpooledRow, report: BackfillReport
) -> None:
    if (one.key, one.value) != (other.key, other.value):
        first, second = (
            f"{report.files[row.file].name}:{row.number}" for row in (one, other)
        )
        raise BackfillRefused(
            f"{first}: another record than {second} has at the same offset; exports of "
            "two logs are read one after the other"
        )
