"""``stacks-feed audit as-of``: the public table as it stood at a moment."""

import argparse
import asyncio
import sys
from collections.abc import Mapping
from typing import NamedTuple

import orjson
from rich.console import Console

from app.audits import answering, bar, opened_to_ask
from app.commands.service import overrides
from app.commands.tail import sort_key, text_of
from app.errors import AS_DERIVED
from app.rows import Rows, matches
from app.settings import Settings, read
from audit.as_of import cut_at, table_at
from audit.core.cuts import Cut, parse_moment
from audit.core.table import Row
from schemas.latest import decode_latest


class AsOf(NamedTuple):
    """The rows asked for, by shard and key, and the cut they are of."""

    cut: Cut
    rows: Mapping[tuple[int, bytes], Row]


def run(arguments: argparse.Namespace) -> int:
    """Print the table; 0, for a question about the past always has an answer."""
    with answering():
        settings, moment = read(overrides(arguments)), parse_moment(arguments.moment)
        found = asyncio.run(_ask(settings, moment, arguments.keys))
    if arguments.json:
        _print_json(found)
    else:
        _print(found)
    return AS_DERIVED


async def _ask(settings: Settings, moment: Cut | int, patterns: list[str]) -> AsOf:
    rows: dict[tuple[int, bytes], Row] = {}
    async with opened_to_ask(settings) as (log, identity):
        cut = await cut_at(log, identity, moment)
        with bar("reading changes") as progress:
            for shard, commit in enumerate(cut.commits):
                table = await table_at(log, shard, commit, progress=progress)
                rows |= {
                    (shard, key): row
                    for key, row in table.items()
                    if matches(key, patterns)
                }
    return AsOf(cut, dict(sorted(rows.items(), key=lambda item: sort_key(item[0][1]))))


def _print_json(found: AsOf) -> None:
    sys.stdout.write(orjson.dumps({"cut": f"{found.cut}"}).decode() + "\n")
    for (shard, key), row in found.rows.items():
        line = {
            "key": key.decode(errors="replace"),
            "partition": shard,
            "commit": row.commit,
            "value": orjson.Fragment(row.value),
        }
        sys.stdout.write(orjson.dumps(line).decode() + "\n")


def _print(found: AsOf) -> None:
    console, rows = Console(highlight=False), Rows()
    print(found.cut)
    for (_, key), row in found.rows.items():
        said = rows.row(key, row.value, time_ms=_observed_at(key, row.value))
        console.print(text_of(said), soft_wrap=True)


def _observed_at(key: bytes, value: bytes) -> int:
    """Return the moment of the newest observation that a value stands on."""
    return int(getattr(decode_latest(key, value), "observed_at", 0))
