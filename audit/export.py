"""History as files, a day and a partition each; what is finished is not done again."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from audit.core.columns import TABLES, Table
from audit.core.manifest import (
    Day,
    Manifest,
    Part,
    Stretch,
    days,
    manifest_in,
    new_manifest,
    path_of,
)
from audit.errors import WrongFolder
from audit.parts import open_part
from audit.streams import open_stream
from eventlog.port import EventLog, Partition
from schemas.base import encode
from schemas.log import LogIdentity

_AT_ONCE = 5_000
MANIFEST = "manifest.json"
# Told how many records were written since the last time.
Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class ExportConfig:
    """What goes where: of ``what``, log times from ``start_ms`` to before ``end_ms``.

    The format is named by its ``suffix``.
    """

    what: str
    start_ms: int
    end_ms: int
    suffix: str
    folder: Path


class Exported(NamedTuple):
    """How many parts were written, how many had been, and the rows of those written."""

    written: int
    finished: int
    rows: int


class _Wanted(NamedTuple):
    path: str
    stretch: Stretch


async def export(
    log: EventLog,
    identity: LogIdentity,
    config: ExportConfig,
    *,
    progress: Progress = lambda _: None,
) -> Exported:
    """Write all parts that are not yet finished.

    A day by the log time of the partition, so that a record is in one part and stays
    there. A part that has grown since is written again, in place of the one before.
    Raises ``WrongFolder`` for the export of another log, and ``NoParquet``.
    """
    table = TABLES[config.what]
    manifest = _read(config.folder, identity)
    written = finished = rows = 0
    async for wanted in _wanted(log, identity, config, table):
        path = config.folder / wanted.path
        if manifest.has(wanted.path, wanted.stretch, size_bytes=_size_bytes(path)):
            finished += 1
            continue
        part = await _write(log, path, wanted.stretch, table, config, progress)
        manifest = manifest.with_part(wanted.path, part)
        _write_manifest(config.folder, manifest)
        written += 1
        rows += part.rows
    return Exported(written, finished, rows)


async def _wanted(
    log: EventLog, identity: LogIdentity, config: ExportConfig, table: Table
) -> AsyncIterator[_Wanted]:
    partitions = [
        Partition(topic, shard)
        for topic in table.topics
        for shard in range(identity.partitions)
    ]
    oldest, log_ends = await log.oldest(partitions), await log.ends(partitions)
    for day in days(*await _held(log, partitions, config)):
        starts = await log.positions_at(partitions, time_ms=day.start)
        if all(starts[at] >= log_ends[at] for at in partitions):
            return
        ends = await log.positions_at(partitions, time_ms=day.end)
        for at in partitions:
            start = max(starts[at], oldest[at])
            if start < ends[at]:
                stretch = Stretch(at.topic, at.number, start, ends[at])
                yield _Wanted(_path(config, day, at), stretch)


async def _held(
    log: EventLog, partitions: list[Partition], config: ExportConfig
) -> tuple[int, int]:
    """Return the times asked for without the days before there is anything."""
    oldest = await log.oldest(partitions)
    first = config.end_ms
    for at in partitions:
        async with open_stream(log, at, start=oldest[at], settle_s=0.0) as stream:
            record = await stream.peek()
            if record is not None:
                first = min(first, record.time_ms)
    return max(config.start_ms, first), config.end_ms


def _path(config: ExportConfig, day: Day, at: Partition) -> str:
    return path_of(config.what, day, at.topic, at.number, suffix=config.suffix)


async def _write(
    log: EventLog,
    path: Path,
    stretch: Stretch,
    table: Table,
    config: ExportConfig,
    progress: Progress,
) -> Part:
    topic, shard, start, end = stretch
    rows = 0
    at = Partition(topic, shard)
    with open_part(path, table.columns, suffix=config.suffix) as write:
        async with open_stream(log, at, start=start, settle_s=0.0) as stream:
            while records := await stream.take_before(end, at_most=_AT_ONCE):
                write([table.row(topic, shard, record) for record in records])
                rows += len(records)
                progress(len(records))
    return Part(
        topic=topic,
        shard=shard,
        start=start,
        end=end,
        rows=rows,
        size_bytes=_size_bytes(path),
    )


def _size_bytes(path: Path) -> int:
    """Return the size of a file, of none 0."""
    return path.stat().st_size if path.exists() else 0


# ---- the manifest


def _read(folder: Path, identity: LogIdentity) -> Manifest:
    path = folder / MANIFEST
    if not path.exists():
        return new_manifest(identity)
    manifest = manifest_in(path.read_bytes())
    if manifest is None or manifest.log != identity.id:
        raise WrongFolder(folder)
    return manifest


def _write_manifest(folder: Path, manifest: Manifest) -> None:
    unfinished = folder / f".{MANIFEST}.unfinished"
    unfinished.write_bytes(encode(manifest))
    unfinished.replace(folder / MANIFEST)
