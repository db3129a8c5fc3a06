"""`tail` as a process: the table first, then what changes, until it is stopped."""

import asyncio
import json
import signal
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from eventlog.port import Entry, Partition, ShardWriter
from eventlog.sqlite import SqliteConfig, open_sqlite
from runtime.clock import SystemClock
from schemas.balances import Balance, MainnetPart
from schemas.base import encode
from schemas.ids import STX, UserId
from schemas.latest import balance_key, price_key, token_key
from schemas.prices import Price
from schemas.tokens import Token, TokenFields
from schemas.topics import CHANGES, LATEST
from tests.support.logs import Place, open_at
from tests.support.processes import LIMIT_S, run, running
from tests.support.sqlite_logs import cut_back


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
        assert line.rstrip().endswith(" v3     .stx")


# ---- keys


@pytest.mark.parametrize("spelling", ["stx", ".stx", "price:stx", "price:.stx"])
async def test_a_key_is_taken_in_each_spelling(
    tmp_path: Path, writer: ShardWriter, spelling: str
) -> None:
    async with running("tail", spelling, "--json", cwd=tmp_path) as tail:
        assert (await next_json(tail))["key"] == "price:.stx"


async def test_a_key_of_nothing_is_told_at_once_and_waited_for(
    tmp_path: Path, writer: ShardWriter
) -> None:
    async with running("tail", "price:sxt", "token:stx", cwd=tmp_path) as tail:
        assert tail.stderr is not None
        async with asyncio.timeout(LIMIT_S):
            first = (await tail.stderr.readline()).decode()
            second = (await tail.stderr.readline()).decode()
        assert first == (
            "stacks-feed tail: 'price:sxt' names nothing in this log; nearest: "
            "price:.stx; waiting for it\n"
        )
        assert second.startswith("stacks-feed tail: 'token:stx' names nothing")
        token = Token(
            contract_id=STX, fields=TokenFields(), version=1, observed_at=1, origins=()
        )
        await writer.commit({LATEST: [Entry(token_key(STX), encode(token))]})
        assert "token" in await next_line(tail)


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("nonsense", "'nonsense': no id and no kind of key"),
        ("prices", "did you mean price?"),
        ("prise:.stx", "'prise:.stx': no kind of key"),
        ("sxt", "did you mean price:.stx?"),
    ],
)
async def test_an_unknown_kind_is_one_line_and_2(
    tmp_path: Path, writer: ShardWriter, key: str, why: str
) -> None:
    ended = await run("tail", key, cwd=tmp_path)
    assert (ended.code, ended.out) == (2, "")
    (line,) = ended.err.splitlines()
    assert why in line


async def test_a_balance_has_the_decimals_and_the_symbol_of_its_token(
    tmp_path: Path, writer: ShardWriter
) -> None:
    user = UserId("SP2ZNGJ85ENDY6QRHQ5P2D4FXKGZWCKTB2T0Z55KS")
    fields = TokenFields(symbol="STX", decimals=6)
    token = Token(contract_id=STX, fields=fields, version=1, observed_at=1, origins=())
    part = MainnetPart(
        balance="1500000", total_sent=None, total_received=None, observed_at=1
    )
    balance = Balance(
        user_id=user, contract_id=STX, mainnet=part, subnets={}, version=1,
        observed_at=1, origins=(),
    )  # fmt: skip
    key = balance_key(user, STX)
    await writer.commit({LATEST: [Entry(token_key(STX), encode(token))]})
    await writer.commit({LATEST: [Entry(key, encode(balance))]})
    async with running("tail", user, cwd=tmp_path) as tail:
        line = await next_line(tail)
    assert " 1.5 STX " in line
    assert line.rstrip().endswith(f"{user} STX .stx")


# ---- every change


def change(usd: str, version: int) -> Entry:
    key, value, _ = a_price(usd, version)
    return Entry(key, value, (("commit", f"{version}".encode()),))


@pytest.fixture
async def changes(writer: ShardWriter) -> ShardWriter:
    """The same log, in which three values of one price were published."""
    for version in (1, 2, 3):
        await writer.commit({CHANGES: [change(f"{version}", version)]})
    return writer


async def all_from(cwd: Path, start: str) -> list[Any]:
    """Return the lines from a start on to the end there is now."""
    ended = await run("tail", "--json", "--from", start, "--until-end", cwd=cwd)
    assert ended.code == 0, ended
    return [json.loads(line) for line in ended.out.splitlines()]


async def test_a_pipe_that_was_down_loses_nothing(
    tmp_path: Path, changes: ShardWriter
) -> None:
    lines = await all_from(tmp_path, "beginning")
    assert [line["value"]["usd"] for line in lines] == ["1", "2", "3"]
    assert [line["commit"] for line in lines] == [1, 2, 3]
    cursor = lines[1]["cursor"]
    await changes.commit({CHANGES: [change("4", 4), Entry(price_key(STX), None)]})
    later = await all_from(tmp_path, cursor)
    assert [line["value"] and line["value"]["usd"] for line in later] == [
        "3",
        "4",
        None,
    ]
    assert await all_from(tmp_path, later[-1]["cursor"]) == []
    async with running(
        "tail", "--json", "--from", later[-1]["cursor"], cwd=tmp_path
    ) as tail:
        await changes.commit({CHANGES: [change("5", 5)]})
        assert (await next_json(tail))["value"]["usd"] == "5"


async def test_a_log_that_was_put_back_and_went_on_is_told(
    tmp_path: Path, changes: ShardWriter
) -> None:
    lines = await all_from(tmp_path, "beginning")
    file = tmp_path / "data" / "stacks-feed.sqlite"
    cut_back(file, Partition(CHANGES, 0), records=1)
    async with open_at(Place("sqlite", str(file))) as log, log.own(0) as owner:
        await owner.commit({CHANGES: [change("5", 3), change("6", 4)]})
    # What it has seen is there still: nothing was lost.
    later = await all_from(tmp_path, lines[1]["cursor"])
    assert [line["value"]["usd"] for line in later] == ["5", "6"]
    seen = lines[2]["cursor"]
    ended = await run("tail", "--json", "--from", seen, "--until-end", cwd=tmp_path)
    assert (ended.code, ended.out) == (1, "")
    (line,) = ended.err.splitlines()
    assert "changes[0] has another record before this cursor" in line
    assert "restored from a copy" in line
    # A cursor of before holds no digests.
    older = await all_from(tmp_path, seen.rpartition(":")[0])
    assert [line["value"]["usd"] for line in older] == ["6"]


async def test_a_shard_of_which_nothing_was_read_is_known_by_its_last_record_too(
    tmp_path: Path, changes: ShardWriter
) -> None:
    file = tmp_path / "data" / "stacks-feed.sqlite"
    async with open_at(Place("sqlite", str(file))) as log, log.own(1) as other:
        await other.commit({CHANGES: [change("7", 1)]})
    known = (await all_from(tmp_path, "beginning"))[-1]["cursor"]
    await changes.commit({CHANGES: [change("4", 4)]})
    # What stood in the other shard is not read again, and known all the same.
    (told,) = await all_from(tmp_path, known.rpartition(":")[0])
    assert told["partition"] == 0
    cut_back(file, Partition(CHANGES, 1), records=1)
    async with open_at(Place("sqlite", str(file))) as log, log.own(1) as other:
        await other.commit({CHANGES: [change("8", 1)]})
    ended = await run("tail", "--from", told["cursor"], "--until-end", cwd=tmp_path)
    assert ended.code == 1
    assert "changes[1] has another record before this cursor" in ended.err


async def test_changes_may_be_asked_for_since_a_time(
    tmp_path: Path, changes: ShardWriter
) -> None:
    assert len(await all_from(tmp_path, "-1h")) == 3
    assert await all_from(tmp_path, "2100-01-01") == []
    assert await all_from(tmp_path, "now") == []
    line = (
        await run("tail", "stx", "--from", "-1d", "--until-end", cwd=tmp_path)
    ).out.splitlines()[1]
    assert "2 USD" in line
    assert "+100.000%" in line


@pytest.mark.parametrize(
    ("arguments", "code", "why"),
    [
        (("--from", "noon"), 2, "'noon' is no start; give `beginning`"),
        (("--from", "cut:01234567:1,1"), 2, "is no start"),
        (("--from", "pos:01234567:1,1"), 2, "is a position in another log"),
        (("--until-end",), 2, "--until-end goes with --from"),
    ],
)
async def test_a_start_that_is_none_is_refused(
    tmp_path: Path,
    changes: ShardWriter,
    arguments: tuple[str, ...],
    code: int,
    why: str,
) -> None:
    ended = await run("tail", *arguments, cwd=tmp_path)
    assert ended.code == code
    (line,) = ended.err.splitlines()
    assert why in line


async def test_a_cursor_past_the_end_is_told_with_what_the_log_holds(
    tmp_path: Path, changes: ShardWriter
) -> None:
    cursor = (await all_from(tmp_path, "beginning"))[0]["cursor"]
    ended = await run(
        "tail", "--from", cursor.replace(":1,", ":99,"), "--until-end", cwd=tmp_path
    )
    assert ended.code == 1
    assert "changes[0]: offset 99 is not there, the log holds 0 to 3" in ended.err


async def test_a_log_without_topics_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "x.sqlite").touch()
    ended = await run("tail", "--log", "x.sqlite", cwd=tmp_path)
    assert ended.code == 1
    assert "has no topics yet" in ended.err


@pytest.mark.broker
async def test_a_pipe_loses_nothing_on_a_broker_either(
    broker: str, tmp_path: Path
) -> None:
    place = Place("kafka", broker, prefix=f"t{uuid4().hex[:12]}.")
    settings: dict[str, object] = {
        "log": f"kafka://{broker}",
        "log_prefix": place.prefix,
        "environment": "development",
        "partitions": 2,
    }
    assert (await run("topics", "apply", cwd=tmp_path, **settings)).code == 0
    arguments = ("tail", "--json", "--until-end", "--from")
    async with open_at(place) as log, log.own(0) as owner:
        await owner.commit({CHANGES: [change("1", 1), change("2", 2)]})
        ended = await run(*arguments, "beginning", cwd=tmp_path, **settings)
        first, second = map(json.loads, ended.out.splitlines())
        assert (first["value"]["usd"], second["value"]["usd"]) == ("1", "2")
        await owner.commit({CHANGES: [change("3", 3)]})
        for cursor, prices in (
            (first["cursor"], ["2", "3"]),
            (second["cursor"], ["3"]),
        ):
            ended = await run(*arguments, cursor, cwd=tmp_path, **settings)
            lines = map(json.loads, ended.out.splitlines())
            assert [line["value"]["usd"] for line in lines] == prices
