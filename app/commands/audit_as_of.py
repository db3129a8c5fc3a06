"""``stacks-feed audit as-of``: the public table as it stood at a moment."""

import argparse
import asyncio
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import orjson

from app.audits import answering, bar, opened_to_ask, tell_commits_ahead
from app.bootstrap import Opened
from app.commands.service import overrides
from app.commands.tail import sort_key, text_of
from app.errors import AS_DERIVED
from app.keys import NamesNothing, UnknownKind, matches, nearest, pattern
from app.known_keys import known_keys
from app.rows import Rows
from app.settings import Settings, read
from app.terminal import Terminal
from audit.as_of import cut_at, table_at
from audit.core.cuts import Cut, parse_moment
from audit.core.table import Row
from audit.snapshots import declared_before
from schemas.latest import decode_latest


class AsOf(NamedTuple):
    """The table at a cut by shard and key, and the patterns of the rows asked for.

    ``declared`` names, by shard, the commit of a declared point: rows of that commit and of
    those before it can never be verified.
    """

    cut: Cut
    table: Mapping[tuple[int, bytes], Row]
    patterns: Sequence[str]
    declared: Mapping[int, int]

    def rows(self) -> Iterator[tuple[int, bytes, Row]]:
        """Yield the rows asked for, with shard and key."""
        for (shard, key), row in self.table.items():
            if matches(key, self.patterns):
                yield shard, key, row


def run(arguments: argparse.Namespace) -> int:
    """Print the table; 0, also where a key had no value yet at the moment."""
    with answering():
        settings, moment = read(overrides(arguments)), parse_moment(arguments.moment)
        found = asyncio.run(_ask(settings, moment, arguments.keys))
    if arguments.json:
        _print_json(found)
    else:
        _print(found)
    return AS_DERIVED


async def _ask(settings: Settings, moment: Cut | int, texts: Sequence[str]) -> AsOf:
    rows: dict[tuple[int, bytes], Row] = {}
    declared: dict[int, int] = {}
    async with opened_to_ask(settings) as opened:
        cut = await cut_at(opened.log, opened.identity, moment)
        if not isinstance(moment, Cut):
            await tell_commits_ahead(opened, moment, dict(enumerate(cut.commits)))
        with bar("reading changes") as progress:
            for shard, commit in enumerate(cut.commits):
                table = await table_at(opened.log, shard, commit, progress=progress)
                rows |= {(shard, key): row for key, row in table.items()}
                declared[shard] = await declared_before(opened.log, shard, commit)
        patterns = await _patterns(opened, texts, [key for _, key in rows])
    ordered = sorted(rows.items(), key=lambda item: sort_key(item[0][1]))
    points = {shard: commit for shard, commit in declared.items() if commit}
    return AsOf(cut, dict(ordered), patterns, points)


async def _patterns(
    opened: Opened, texts: Sequence[str], keys: Sequence[bytes]
) -> list[str]:
    """Read the keys asked for. Raises ``NamesNothing`` for one that never had a value.

    A key that has one now had none yet at the moment; of that it is said on stderr.
    """
    patterns = []
    for text in texts:
        try:
            glob = pattern(text)
        except UnknownKind as error:
            known = {*keys, *await known_keys(opened)}
            raise error.with_nearest(nearest(text, known)) from None
        patterns.append(glob)
        if any(matches(key, [glob]) for key in keys):
            continue
        known = {*keys, *await known_keys(opened)}
        if not any(matches(key, [glob]) for key in known):
            raise NamesNothing(text, nearest(text, known))
        print(f"stacks-feed audit: {text!r} had no value then", file=sys.stderr)
    return patterns


def _print_json(found: AsOf) -> None:
    first: dict[str, object] = {"cut": f"{found.cut}"}
    if found.declared:
        first["declared"] = {f"{n}": commit for n, commit in found.declared.items()}
    sys.stdout.write(orjson.dumps(first).decode() + "\n")
    for shard, key, row in found.rows():
        line = {
            "key": key.decode(errors="replace"),
            "partition": shard,
            "commit": row.commit,
            "value": orjson.Fragment(row.value),
        }
        sys.stdout.write(orjson.dumps(line).decode() + "\n")


def _print(found: AsOf) -> None:
    console, rows = Terminal(highlight=False), Rows()
    print(found.cut)
    for shard, commit in found.declared.items():
        print(
            f"shard {shard}: what commits 1 to {commit} published can never be verified: a "
            f"point was declared at commit {commit}, because history before it is gone"
        )
    for (_, key), row in found.table.items():
        rows.learn(key, row.value)
    for _, key, row in found.rows():
        said = rows.row(key, row.value, time_ms=_observed_at(key, row.value))
        console.print(text_of(said), soft_wrap=True)


def _observed_at(key: bytes, value: bytes) -> int:
    """Return the moment of the newest observation that a value stands on."""
    return int(getattr(decode_latest(key, value), "observed_at", 0))
