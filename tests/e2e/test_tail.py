"""`tail` as a process: the table first, then what changes, until it is stopped."""

import asyncio
import json
import signal
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from eventlog.port import Entry, ShardWriter
from eventlog.sqlite import SqliteConfig, open_sqlite
from runtime.clock import SystemClock
from schemas.base import encode
from schemas.ids import STX
from schemas.latest import price_key
from schemas.prices import Price
from schemas.topics import LATEST
from tests.support.processes import LIMIT_S, run, running


def a_price(usd: str, version: int) -> Entry:
    price = Price(contract_id=STX, usd=usd, version=version, observed_at=1, origins=())
    return Entry(price_key(STX), encode(price))


@pytest.fixture
async def writer(tmp_path: Path) -> AsyncIterator[ShardWriter]:
    """The owner of shard 0 of a log with two versions of one price."""
    assert (await run("topics", "apply", cwd=tmp_path)).code == 0
    path = tmp_path / "data" / "stacks-feed.sqlite"
    config = SqliteConfig(path=path, now_ms=SystemClock().now_ms)
    async with open_sqlite(config) as log, log.own(0) as owner:
        await owner.commit({LATEST: [a_price("1", 1), a_price("2", 2)]})
        yield owner


async def next_line(process: Process) -> str:
    assert process.stdout is not None
    async with asyncio.timeout(LIMIT_S):
        return (await process.stdout.readline()).decode()


async def next_json(process: Process) -> Any:
    return json.loads(await next_line(process))


async def test_the_newest_of_each_key_then_every_change(
    tmp_path: Path, writer: ShardWriter
) -> None:
    async with running("tail", "price", "--json", cwd=tmp_path) as tail:
        first = await next_json(tail)
        assert (first["key"], first["value"]["version"]) == ("price:.stx", 2)
        await writer.commit({LATEST: [a_price("3", 3)]})
        assert (await next_json(tail))["value"]["usd"] == "3"
        await writer.commit({LATEST: [Entry(price_key(STX), None)]})
        assert (await next_json(tail))["value"] is None
        tail.send_signal(signal.SIGINT)
        async with asyncio.timeout(LIMIT_S):
            assert await tail.wait() == 0


async def test_lines_for_people_show_the_change(
    tmp_path: Path, writer: ShardWriter
) -> None:
    async with running("tail", "price:*", cwd=tmp_path) as tail:
        assert "2 USD" in await next_line(tail)
        await writer.commit({LATEST: [a_price("3", 3)]})
        line = await next_line(tail)
        assert "+50.000%" in line
        assert line.rstrip().endswith("v3")


async def test_a_log_without_topics_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "x.sqlite").touch()
    ended = await run("tail", "--log", "x.sqlite", cwd=tmp_path)
    assert ended.code == 1
    assert "has no topics yet" in ended.err
