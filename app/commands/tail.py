"""``stacks-feed tail``: follow the published values in the terminal."""

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import NamedTuple

import orjson
from rich.console import Console
from rich.text import Text

from app.bootstrap import open_log
from app.commands.service import overrides
from app.errors import OperatorError
from app.rows import Row, Rows, matches
from app.settings import Settings, read
from app.topics import read_identity
from eventlog.port import Batches, EventLog, Partition, Reader, Record, read_to
from runtime.clock import SystemClock
from schemas.topics import LATEST

_NAME_WIDTH, _VALUE_WIDTH, _CHANGE_WIDTH = 48, 26, 9
_BATCH, _WAIT_S = 1_000, 60.0
# Tokens first: they give the others their names and decimals.
_ORDER = {b"token": 0, b"price": 1, b"balance": 2}


class Seen(NamedTuple):
    """One record of the table and where it stands."""

    partition: int
    record: Record


Show = Callable[[Iterable[Seen]], None]


def run(arguments: argparse.Namespace) -> int:
    """Follow until interrupted; 0 then, for that is how it ends."""
    settings = read(overrides(arguments))
    show = _show_json if arguments.json else _rows_on(Console(highlight=False))

    def show_wanted(seen: Iterable[Seen]) -> None:
        show(each for each in seen if matches(each.record.key or b"", arguments.keys))

    try:
        asyncio.run(_tail(settings, show_wanted, snapshot=not arguments.no_snapshot))
    except KeyboardInterrupt:
        return 0
    return 1


async def _tail(settings: Settings, show: Show, *, snapshot: bool) -> None:
    async with _opened(settings) as (log, parts):
        ends = await log.ends(parts)
        start = await log.oldest(parts) if snapshot else ends
        async with log.reader(start) as reader:
            show(await _newest(reader, ends))
            while True:
                show(_seen(await reader.read(max_records=_BATCH, wait_s=_WAIT_S)))


@asynccontextmanager
async def _opened(
    settings: Settings,
) -> AsyncIterator[tuple[EventLog, tuple[Partition, ...]]]:
    async with open_log(settings, clock=SystemClock()) as log:
        identity = await read_identity(log)
        if identity is None:
            raise OperatorError(
                f"the log at {log.where} has no topics yet; start the services with "
                "`stacks-feed up`"
            )
        yield log, tuple(Partition(LATEST, n) for n in range(identity.partitions))


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


def _show_json(seen: Iterable[Seen]) -> None:
    for partition, record in seen:
        value = orjson.Fragment(record.value) if record.value is not None else None
        line = {
            "key": (record.key or b"").decode(errors="replace"),
            "partition": partition,
            "offset": record.offset,
            "time": record.time_ms,
            "value": value,
        }
        sys.stdout.write(orjson.dumps(line).decode() + "\n")
    sys.stdout.flush()


def _rows_on(console: Console) -> Show:
    rows = Rows()

    def show(seen: Iterable[Seen]) -> None:
        for _, record in seen:
            row = rows.row(record.key or b"", record.value, time_ms=record.time_ms)
            console.print(text_of(row), soft_wrap=True)

    return show


def text_of(row: Row) -> Text:
    """Return a row in aligned columns: time, kind, name, value, change, version."""
    at = datetime.fromtimestamp(row.time_ms / 1_000, UTC).astimezone()
    name = _fit(row.name, _NAME_WIDTH)
    version = "" if row.version is None else f"v{row.version}"
    return Text.assemble(
        (f"{at:%H:%M:%S} ", "dim"),
        (f"{row.kind:9} ", "cyan"),
        f"{name:{_NAME_WIDTH}} ",
        (f"{row.value:>{_VALUE_WIDTH}} ", "bold"),
        _change(row),
        (f" {version}", "dim"),
    )


def _change(row: Row) -> tuple[str, str]:
    if row.change is None:
        return " " * _CHANGE_WIDTH, ""
    return f"{row.change:+.3f}%".rjust(_CHANGE_WIDTH), (
        "green" if row.change > 0 else "red"
    )


def _fit(text: str, width: int) -> str:
    """Cut the middle out: the beginning and the end tell ids apart."""
    if len(text) <= width:
        return text
    head = (width - 1) // 2
    return f"{text[:head]}…{text[-(width - 1 - head) :]}"
