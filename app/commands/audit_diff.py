"""``stacks-feed audit diff``: what would have been published with other settings."""

import argparse
import asyncio
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import orjson

from app.audits import Progress, answering, opened_to_ask
from app.commands.service import overrides
from app.errors import AS_DERIVED, DIFFERENT, RequestError
from app.settings import read
from app.shards import Job, on_shards, plan
from audit.core.difference import shown
from audit.core.differing import (
    Comparison,
    Example,
    How,
    settings_in,
)
from audit.diff import DiffConfig, diff_shard

_KEYS_SHOWN, _PERCENT = 10, 100


def run(arguments: argparse.Namespace) -> int:
    """Print what differs; with ``--fail`` 1 if anything does."""
    found = Comparison()
    with answering():
        changed, generation = _changed(arguments), arguments.generation
        work = partial(_compared, changed, generation)
        planned = plan(overrides(arguments), arguments)
        for each in on_shards(work, planned, processes=arguments.jobs, doing="folding"):
            found.add(each)
    if arguments.json:
        print(orjson.dumps(plainly(found)).decode())
    else:
        print("\n".join(in_words(found)))
    return DIFFERENT if arguments.fail and found.is_different else AS_DERIVED


def _changed(arguments: argparse.Namespace) -> dict[str, object]:
    changed = settings_in(arguments.set or ())
    if not changed and arguments.generation is None:
        raise RequestError("name what is to be otherwise: --set or --generation")
    return changed


def _compared(
    changed: Mapping[str, object], generation: int | None, job: Job, progress: Progress
) -> Comparison:
    first, last = job.range
    wanted = DiffConfig(first, last, changed=changed, generation=generation)

    async def compare() -> Comparison:
        async with opened_to_ask(read(job.overrides)) as (log, _):
            return await diff_shard(log, job.shard, config=wanted, progress=progress)

    return asyncio.run(compare())


# ---- what came of it


def in_words(found: Comparison) -> Iterator[str]:
    """Yield a summary by kind, the largest differences, and examples."""
    for shard, commit in sorted(found.begins.items()):
        yield f"shard {shard}: commits 1 to {commit} are not compared, history is gone"
    kinds = sorted({kind for kind, _ in found.counts})
    for kind in kinds:
        counts = [f"{found.counts[kind, how]:,} {how.value}" for how in How]
        yield f"{kind}: {', '.join(counts)}"
        if kind in found.largest:
            share, example = found.largest[kind]
            yield f"  largest difference {share * _PERCENT:.6f} %: {_line(example)}"
    for examples in found.examples.values():
        yield from (_line(example) for example in examples)
    if found.keys:
        yield f"keys that differ: {len(found.keys):,}, most often"
        for key, count in found.keys.most_common(_KEYS_SHOWN):
            yield f"  {shown(key)}: {count:,}"
    else:
        yield "nothing would be published otherwise"


def _line(example: Example) -> str:
    at = f"commit {example.commit} of shard {example.shard}"
    written, other = shown(example.written), shown(example.other)
    match example.how:
        case How.ADDED:
            return f"added in {at}: {shown(example.key)} = {other}"
        case How.MISSING:
            return f"missing in {at}: {shown(example.key)} = {written}"
        case _:
            return f"different in {at}: {shown(example.key)} = {other} instead of {written}"


def plainly(found: Comparison) -> dict[str, Any]:
    """Return all of it for a program."""
    kinds = sorted({kind for kind, _ in found.counts})
    return {
        "different": found.is_different,
        "notCompared": {f"{shard}": last for shard, last in found.begins.items()},
        "counts": {
            kind: {how.value: found.counts[kind, how] for how in How} for kind in kinds
        },
        "largest": {
            kind: {"share": f"{largest.share:f}", **_plain(largest.example)}
            for kind, largest in found.largest.items()
        },
        "keys": {shown(key): count for key, count in found.keys.items()},
        "examples": [_plain(each) for some in found.examples.values() for each in some],
    }


def _plain(example: Example) -> dict[str, Any]:
    return {
        "how": example.how.value,
        "shard": example.shard,
        "commit": example.commit,
        "key": shown(example.key),
        "written": None if example.written is None else shown(example.written),
        "other": None if example.other is None else shown(example.other),
    }
