"""Programs of the client library that want every version, each after the one before."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from decimal import Decimal
from pathlib import Path

from eventlog.port import Entry, EventLog, Partition
from eventlog.sqlite import SqliteConfig, open_sqlite
from runtime.clock import SystemClock
from schemas.base import encode
from schemas.latest import watermark_key
from schemas.log import Watermark
from schemas.prices import Price as Published
from schemas.topics import LATEST
from stacks_feed_client import Feed, Options, Price, Subscription, connect
from tests.support.feeding import Publisher
from tests.support.logs import read_all
from tests.support.processes import run
from tests.support.serving import LONG_S, PARTITIONS, begin_term


class Program:
    """Follows some tokens from before their first version."""

    def __init__(self, feed: Feed[str, Price], tokens: Sequence[str]) -> None:
        self.feed = feed
        self._updates: Subscription[str, Price] = feed.subscribe(*tokens)
        self.versions = dict.fromkeys(tokens, 0)
        self.heard: dict[tuple[str, int], Decimal] = {}

    async def hears(self, published: Mapping[str, int]) -> None:
        """Hear all that was published of what it follows."""
        while any(published.get(key, 0) != n for key, n in self.versions.items()):
            update = await anext(self._updates)
            assert update.value is not None
            version = update.value.version
            assert version == self.versions[update.key] + 1, "a gap or a repeat"
            self.versions[update.key] = version
            self.heard[update.key, version] = update.value.price


@asynccontextmanager
async def programs_at(
    url: str, tokens: Sequence[str], count: int, options: Options
) -> AsyncIterator[list[Program]]:
    """Connect programs; each follows the tokens from some number on."""
    async with AsyncExitStack() as stack:
        programs = []
        for number in range(count):
            feed = await stack.enter_async_context(connect(url, options=options))
            programs.append(Program(feed, tokens[number % len(tokens) :]))
        yield programs


async def round_heard(
    publisher: Publisher, tokens: Sequence[str], programs: Sequence[Program]
) -> None:
    """Publish one more version of each token; return when all programs heard theirs.

    An edge that reads several versions at once sends the newest: so one at a time.
    """
    await publisher.round(tokens)
    async with asyncio.timeout(2 * LONG_S), asyncio.TaskGroup() as group:
        for each in programs:
            group.create_task(each.hears(publisher.versions), name="hear")


async def prices_in(log: EventLog) -> dict[tuple[str, int], Decimal]:
    """Return the prices that stand in the public table, by token and version."""
    parts = [Partition(LATEST, number) for number in range(PARTITIONS)]
    found = await read_all(log, parts)
    values = [
        Published.model_validate_json(record.value)
        for part in parts
        for record in found[part]
        if record.value is not None and (record.key or b"").startswith(b"price:")
    ]
    return {(each.contract_id, each.version): Decimal(each.usd) for each in values}


@asynccontextmanager
async def a_log_for_processes(cwd: Path) -> AsyncIterator[EventLog]:
    """Make the log of the services that will run in ``cwd``; open it for the test.

    Each shard has an owner that has said how far it is, as processors do: else no cursor
    is of any use.
    """
    await run("topics", "apply", cwd=cwd)
    path, now_ms = cwd / "data" / "stacks-feed.sqlite", SystemClock().now_ms
    async with open_sqlite(SqliteConfig(path, now_ms=now_ms)) as log:
        for shard in range(PARTITIONS):
            await begin_term(log, shard)
            mark = encode(Watermark(shard=shard, log_time=now_ms()))
            await log.append(LATEST, [(shard, Entry(watermark_key(shard), mark))])
        yield log


async def check_against_log(programs: Sequence[Program], log: EventLog) -> None:
    """Find what stands in the log in what each program heard, and nothing missed.

    In the log may be less than was published: of each key at least the newest.
    """
    published = await prices_in(log)
    for program in programs:
        its = {key: usd for key, usd in published.items() if key[0] in program.versions}
        assert its.keys() >= program.versions.items()
        assert its.items() <= program.heard.items()
        assert program.feed.counts.gaps == program.feed.counts.conflated == 0
        assert program.feed.status.recovered is not False
