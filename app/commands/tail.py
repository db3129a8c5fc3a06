"""``stacks-feed tail``: follow the published values in the terminal, or feed a program."""

import argparse
import asyncio
import re
import sys
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
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
_CURSOR = re.compile(r"pos:([0-9a-f]{8}):([0-9]{1,18}(?:,[0-9]{1,18})*)")
_ID_CHARACTERS = 8


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
    positions = await positions_of(opened, start)
    ends = await opened.log.ends(list(positions))
    async with opened.log.reader(positions) as reader:
        if asked.until_end:
            async for batches in read_to(reader, ends):
                printer.show(_with_cursors(batches, positions, opened.identity))
            return
        while True:
            batches = await reader.read(max_records=_BATCH, wait_s=_WAIT_S)
            printer.show(_with_cursors(batches, positions, opened.identity))


async def positions_of(opened: Opened, start: str) -> dict[Partition, int]:
    """Return where in ``changes`` a start is: beginning, a cursor, or a time.

    Raises ``RequestError``, and ``OffsetOutOfRange`` for a cursor to what is not there.
    """
    log, parts = opened.log, _partitions(CHANGES, opened.identity)
    oldest = await log.oldest(parts)
    if start == "beginning":
        return dict(oldest)
    cursor = _CURSOR.fullmatch(start)
    if cursor is None:
        return dict(await _at_time(log, start, parts))
    positions, ends = (
        _positions_in(cursor, opened.identity, parts),
        await log.ends(parts),
    )
    for part, offset in positions.items():
        if not oldest[part] <= offset <= ends[part]:
            raise OffsetOutOfRange(
                part, offset=offset, oldest=oldest[part], end=ends[part]
            )
    return positions


def _positions_in(
    cursor: re.Match[str], identity: LogIdentity, parts: Sequence[Partition]
) -> dict[Partition, int]:
    numbers = [int(number) for number in cursor[2].split(",")]
    if cursor[1] != identity.id[:_ID_CHARACTERS] or len(numbers) != len(parts):
        raise RequestError(
            f"{cursor[0]} is a position in another log: this one is "
            f"{identity.id[:_ID_CHARACTERS]} and has {len(parts)} shards"
        )
    return dict(zip(parts, numbers, strict=True))


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


def _with_cursors(
    batches: Batches, positions: dict[Partition, int], identity: LogIdentity
) -> Iterator[Seen]:
    for part, records in batches.items():
        for record in records:
            positions[part] = record.offset + 1
            numbers = ",".join(f"{position}" for position in positions.values())
            cursor = f"pos:{identity.id[:_ID_CHARACTERS]}:{numbers}"
            yield Seen(part.number, record, cursor)


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
