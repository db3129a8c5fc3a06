"""``stacks-feed audit head``: how far the log goes and what that hashes to, in one line."""

import argparse
import asyncio

import orjson

from app.audits import answering, opened_to_ask
from app.commands.service import overrides
from app.errors import AS_DERIVED
from app.settings import Settings, read
from audit.core.heads import Head
from audit.heads import head_now


def run(arguments: argparse.Namespace) -> int:
    """Print the head; 0."""
    with answering():
        head = asyncio.run(_head(read(overrides(arguments))))
    print(orjson.dumps(head.plain()).decode() if arguments.json else head)
    return AS_DERIVED


async def _head(settings: Settings) -> Head:
    async with opened_to_ask(settings) as (log, identity):
        return await head_now(log, identity)
