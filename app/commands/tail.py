"""``stacks-feed tail``: follow the published values in the terminal, or feed a program."""

import argparse
import asyncio
import re
import sys
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from typing import NamedTuple

import orjson
from rich.text import Text

from app.bootstrap import Opened, open_log
from app.commands.service import overrides
from app.errors import OperatorError, RequestError
from app.keys import UnknownKind, matches, names_nothing, nearest, pattern
from app.rows import Row, Rows
from app.settings import Settings, read
from app.terminal import Terminal
from app.topics import read_identity
from audit.core.commits import commit_of
from audit.core.cuts import Cut, NotACut, parse_moment
from eventlog.port import (
    Batches,
    EventLog,
    OffsetOutOfRange,
    Partition,
    Reader,
    Record,
    read_to,
)
from runtime.clock import SystemClock
from schemas.log import LogIdentity
from schemas.topics import CHANGES, LATEST

_VALUE_WIDTH, _CHANGE_WIDTH, _VERSION_WIDTH = 26, 9, 6
_BATCH, _WAIT_S = 1_000, 60.0
# Tokens first: they give the others their names and decimals.
_ORDER = {b"token": 0, b"price": 1, b"balance": 2}
_DIGESTS = r"(?:[0-9a-f]{12}|-)(?:,(?:[0-9a-f]{12}|-))*"
# Cursors of before have no digests.
_CURSOR = re.compile(
    rf"pos:([0-9a-f]{{8}}):([0-9]{{1,18}}(?:,[0-9]{{1,18}})*)(?::({_DIGESTS}))?"
)
_ID_CHARACTERS, _DIGEST_BYTES, _UNKNOWN_DIGEST = 8, 6, "-"
_LOOK_BACK = 100


class Seen(NamedTuple):
    """One record and where it stands; ``cursor`` reads on after it, if it is told."""

    partition: int
    record: Record
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the command line asks for."""

    keys: Sequence[str]
    start: str | None
    as_json: bool
    snapshot: bool
    until_end: bool


def run(arguments: argparse.Namespace) -> int:
    """Follow until interrupted, or to the end that there is now; 0 then."""
    settings = read(overrides(arguments))
    asked = _Asked(
        arguments.keys,
        arguments.start,
        as_json=arguments.json,
        snapshot=not arguments.no_snapshot,
        until_end=arguments.until_end,
    )
    if asked.until_end and asked.start is None:
        raise RequestError("--until-end goes with --from")
    try:
        asyncio.run(_tail(settings, asked))
    except KeyboardInterrupt:
        return 0
    return 0


async def _tail(settings: Settings, asked: _Asked) -> None:
    async with _opened(settings) as opened:
        parts = _partitions(LATEST, opened.identity)
        start, ends = await opened.log.oldest(parts), await opened.log.ends(parts)
        async with opened.log.reader(start) as reader:
            table = await _newest(reader, ends)
            printer = _Printer(asked, table)
            if asked.start is None:
                printer.show(table if asked.snapshot else ())
                await _follow(reader, printer)
        await _follow_changes(opened, asked.start or "", printer, asked)


async def _follow(reader: Reader, printer: "_Printer") -> None:
    while True:
        printer.show(_seen(await reader.read(max_records=_BATCH, wait_s=_WAIT_S)))


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[Opened]:
    async with open_log(settings, clock=SystemClock()) as log:
        identity = await read_identity(log)
        if identity is None:
            raise OperatorError(
                f"the log at {log.where} has no topics yet; start the services with "
                "`stacks-feed up`"
            )
        yield Opened(log, identity)


def _partitions(topic: str, identity: LogIdentity) -> tuple[Partition, ...]:
    return tuple(Partition(topic, n) for n in range(identity.partitions))


async def _newest(reader: Reader, ends: Mapping[Partition, int]) -> list[Seen]:
    """Return the newest record of each key up to ``ends``, tokens first, then by key."""
    table: dict[bytes, Seen] = {}
    async for batches in read_to(reader, ends):
        table |= {seen.record.key or b"": seen for seen in _seen(batches)}
    held = (seen for seen in table.values() if seen.record.value is not None)
    return sorted(held, key=lambda seen: sort_key(seen.record.key or b""))


def sort_key(key: bytes) -> tuple[int, bytes]:
    """Return what puts keys in the order in which they are shown."""
    return _ORDER.get(key.partition(b":")[0], len(_ORDER)), key


def _seen(batches: Batches) -> list[Seen]:
    return [
        Seen(part.number, record)
        for part, records in batches.items()
        for record in records
    ]


# ---- every change, from a position on


async def _follow_changes(
    opened: Opened, start: str, printer: "_Printer", asked: _Asked
) -> None:
    """Show every published value from a position on, none left out.

    Raises ``OffsetOutOfRange`` when retention has dropped some of them, now or while it
    goes on.
    """
    progress = await _progress_from(opened, start)
    ends = await opened.log.ends(list(progress.positions))
    async with opened.log.reader(progress.positions) as reader:
        if asked.until_end:
            async for batches in read_to(reader, ends):
                printer.show(_with_cursors(batches, progress))
            return
        while True:
            batches = await reader.read(max_records=_BATCH, wait_s=_WAIT_S)
            printer.show(_with_cursors(batches, progress))


@dataclass(frozen=True, slots=True)
class _Progress:
    """How far each shard was read, and a digest of the last record before that.

    An older copy of the log that was put in place, and a broker that lost its newest
    records, have the same offsets for other records. The digests tell them apart.
    """

    log: str
    positions: dict[Partition, int]
    digests: dict[Partition, str]

    def advance(self, part: Partition, record: Record) -> None:
        self.positions[part] = record.offset + 1
        self.digests[part] = _digest(record)

    def cursor(self) -> str:
        positions = ",".join(f"{position}" for position in self.positions.values())
        digests = ",".join(
            self.digests.get(part, _UNKNOWN_DIGEST) for part in self.positions
        )
        return f"pos:{self.log}:{positions}:{digests}"


async def _progress_from(opened: Opened, start: str) -> _Progress:
    """Return where in ``changes`` a start is: beginning, a cursor, or a time.

    Raises ``RequestError``, ``OffsetOutOfRange`` for a cursor to what is not there, and
    ``OperatorError`` for one whose last records are not those that the log has.
    """
    log, identity = opened.log, opened.identity
    parts = _partitions(CHANGES, identity)
    cursor = _CURSOR.fullmatch(start)
    if start == "beginning":
        positions = dict(await log.oldest(parts))
    elif cursor is None:
        positions = dict(await _at_time(log, start, parts))
    else:
        positions = await _positions_in(cursor, opened, parts)
    digests = await _digests_before(log, positions)
    if cursor is not None and cursor[3] is not None:
        _compare(dict(zip(parts, cursor[3].split(","), strict=True)), digests)
    return _Progress(identity.id[:_ID_CHARACTERS], positions, digests)


async def _positions_in(
    cursor: re.Match[str], opened: Opened, parts: Sequence[Partition]
) -> dict[Partition, int]:
    log_id = opened.identity.id[:_ID_CHARACTERS]
    numbers = [int(number) for number in cursor[2].split(",")]
    digests = len((cursor[3] or cursor[2]).split(","))
    if cursor[1] != log_id or not len(numbers) == len(parts) == digests:
        raise RequestError(
            f"{cursor[0]} is a position in another log: this one is {log_id} and has "
            f"{len(parts)} shards"
        )
    oldest, ends = await opened.log.oldest(parts), await opened.log.ends(parts)
    positions = dict(zip(parts, numbers, strict=True))
    for part, offset in positions.items():
        if not oldest[part] <= offset <= ends[part]:
            raise OffsetOutOfRange(
                part, offset=offset, oldest=oldest[part], end=ends[part]
            )
    return positions


def _compare(seen: Mapping[Partition, str], found: Mapping[Partition, str]) -> None:
    """Raise ``OperatorError`` if a last record was another when the cursor was made."""
    for part, digest in found.items():
        if seen[part] not in {digest, _UNKNOWN_DIGEST}:
            raise OperatorError(
                f"{CHANGES}[{part.number}] has another record before this cursor than the "
                "one that was read: the log was restored from a copy, or a broker lost "
                "its newest records. What was read last may be void; start from a time "
                "before that, or from `beginning`"
            )


async def _digests_before(
    log: EventLog, positions: Mapping[Partition, int]
) -> dict[Partition, str]:
    """Return digests of the last records before some positions, of those there are."""
    oldest = await log.oldest(list(positions))
    # On a broker some offsets hold no record.
    starts = {
        part: max(oldest[part], position - _LOOK_BACK)
        for part, position in positions.items()
        if position > oldest[part]
    }
    if not starts:
        return {}
    last: dict[Partition, Record] = {}
    async with log.reader(starts) as reader:
        async for batches in read_to(reader, {at: positions[at] for at in starts}):
            last |= {
                part: record
                for part, records in batches.items()
                for record in records
                if record.offset < positions[part]
            }
    return {part: _digest(record) for part, record in last.items()}


def _digest(record: Record) -> str:
    digest = blake2b(digest_size=_DIGEST_BYTES)
    for text in (
        f"{record.offset} {record.time_ms} {commit_of(record)}".encode(),
        record.key or b"",
        record.value or b"",
    ):
        digest.update(len(text).to_bytes(8) + text)
    return digest.hexdigest()


async def _at_time(
    log: EventLog, start: str, parts: Sequence[Partition]
) -> Mapping[Partition, int]:
    try:
        moment = parse_moment(start)
    except NotACut:
        moment = Cut("", ())
    if isinstance(moment, Cut):
        raise RequestError(
            f"{start!r} is no start; give `beginning`, a time as 2026-11-24T14:03:00Z, "
            "now, -5m or 16:15, or a `cursor` as --json prints it"
        )
    return await log.positions_at(parts, time_ms=moment)


def _with_cursors(batches: Batches, progress: _Progress) -> Iterator[Seen]:
    for part, records in batches.items():
        for record in records:
            progress.advance(part, record)
            yield Seen(part.number, record, progress.cursor())


# ---- output


class _Printer:
    """Shows the records that are wanted; says which keys name nothing."""

    def __init__(self, asked: _Asked, table: Sequence[Seen]) -> None:
        keys = [seen.record.key or b"" for seen in table]
        self._patterns = [_pattern(text, keys) for text in asked.keys]
        for text, glob in zip(asked.keys, self._patterns, strict=True):
            if not any(matches(key, [glob]) for key in keys):
                said = names_nothing(text, nearest(text, keys))
                print(f"stacks-feed tail: {said}; waiting for it", file=sys.stderr)
        self._rows = Rows()
        for seen in table:
            key = seen.record.key or b""
            # A change of the past is not one from the price of now.
            if asked.start is None or key.startswith(b"token:"):
                self._rows.learn(key, seen.record.value)
        self._console = None if asked.as_json else Terminal(highlight=False)

    def show(self, seen: Iterable[Seen]) -> None:
        """Show those of some records that are wanted."""
        for one in seen:
            key, value = one.record.key or b"", one.record.value
            if not matches(key, self._patterns):
                self._rows.learn(key, value)
            elif self._console is None:
                sys.stdout.write(_json_line(one) + "\n")
            else:
                row = self._rows.row(key, value, time_ms=one.record.time_ms)
                self._console.print(text_of(row), soft_wrap=True)
        sys.stdout.flush()


def _pattern(text: str, keys: Sequence[bytes]) -> str:
    try:
        return pattern(text)
    except UnknownKind as error:
        raise error.with_nearest(nearest(text, keys)) from None


def _json_line(seen: Seen) -> str:
    partition, record, cursor = seen
    value = orjson.Fragment(record.value) if record.value is not None else None
    line = {
        "key": (record.key or b"").decode(errors="replace"),
        "partition": partition,
        "offset": record.offset,
        "time": record.time_ms,
        "value": value,
    }
    if cursor is not None:
        line |= {"commit": commit_of(record), "cursor": cursor}
    return orjson.dumps(line).decode()


def text_of(row: Row) -> Text:
    """Return a row in aligned columns: time, kind, value, change, version, name.

    The name is whole, however long, so that it can be copied; so it stands last.
    """
    at = datetime.fromtimestamp(row.time_ms / 1_000, UTC).astimezone()
    version = "" if row.version is None else f"v{row.version}"
    return Text.assemble(
        (f"{at:%H:%M:%S} ", "dim"),
        (f"{row.kind:9} ", "cyan"),
        (f"{row.value:>{_VALUE_WIDTH}} ", "bold"),
        _change(row),
        (f" {version:{_VERSION_WIDTH}} ", "dim"),
        row.name,
    )


def _change(row: Row) -> tuple[str, str]:
    if row.change is None:
        return " " * _CHANGE_WIDTH, ""
    return f"{row.change:+.3f}%".rjust(_CHANGE_WIDTH), (
        "green" if row.change > 0 else "red"
    )
