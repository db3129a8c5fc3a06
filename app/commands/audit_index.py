"""``stacks-feed audit index``: bring the index up to where the log ends."""

import argparse
import asyncio
from pathlib import Path

import orjson

from app.audits import answering, bar, opened_to_ask
from app.commands.service import overrides
from app.configs import index_path
from app.errors import AS_DERIVED
from app.settings import Settings, read
from audit.index import open_index
from audit.indexing import extend_index


def run(arguments: argparse.Namespace) -> int:
    """Index what is new; 0."""
    with answering():
        settings = read(overrides(arguments))
        path = index_path(settings)
        count = asyncio.run(_index(settings, path, anew=arguments.anew))
    if arguments.json:
        print(orjson.dumps({"path": f"{path}", "records": count}).decode())
    else:
        print(f"{path}: {count:,} records indexed")
    return AS_DERIVED


async def _index(settings: Settings, path: Path, *, anew: bool) -> int:
    count = 0
    async with opened_to_ask(settings) as (log, identity):
        with (
            open_index(path, log_id=identity.id, anew=anew) as index,
            bar("indexing") as progress,
        ):

            def counted(step: int) -> None:
                nonlocal count
                count += step
                progress(step)

            for shard in range(identity.partitions):
                await extend_index(log, index, shard, progress=counted)
    return count
