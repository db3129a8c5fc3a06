"""Clients that do not read, or not as fast as values change."""

import itertools
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from eventlog.port import EventLog
from schemas.ids import ContractId
from tests.support.deaf import Deaf, Message, closes, deaf, metric
from tests.support.serving import (
    ANNE,
    BOB,
    CHA,
    Serving,
    balance,
    price,
    prices,
    serving,
    token,
)

TOKENS = [ContractId(f"{BOB}.token-{number}") for number in range(300)]
BUFFER_BYTES = 40_000
ROUNDS = 8


async def many_prices(running: Serving, usd: int) -> None:
    """Publish a price of every token and wait until it was sent."""
    await prices(running.log, TOKENS, f"{usd}")
    await running.taken_in()


async def behind(running: Serving) -> float:
    return await metric(running, "stacks_feed_clients_behind")


async def worst_buffer(running: Serving) -> float:
    """Return the most that waits in the edge for any client, in bytes."""
    return await metric(running, 'stacks_feed_client_buffer_bytes{of="worst"}')


def updates(messages: list[Message]) -> list[tuple[str, float]]:
    return [
        (each["contractId"], each["price"])
        for message in messages
        for each in message.get("prices", [message])
        if each["type"] == "PRICE_UPDATE" and each["contractId"] in TOKENS
    ]


def heard_all(wanted: Mapping[ContractId, float]) -> Callable[[Message], bool]:
    """Return what is true from the message on with which all of this was heard."""
    missing: set[tuple[str, float]] = set(wanted.items())

    def heard(message: Message) -> bool:
        missing.difference_update(updates([message]))
        return not missing

    return heard


def heard_some(count: int) -> Callable[[Message], bool]:
    """Return what is true from the message on with which so many updates were heard."""
    numbers = itertools.count(1)
    return lambda message: bool(updates([message])) and next(numbers) >= count


async def test_who_reads_late_gets_the_newest_values_and_holds_up_nobody(
    tmp_path: Path,
) -> None:
    async with (
        serving(tmp_path, client_buffer_bytes=BUFFER_BYTES) as running,
        running.listener() as quick,
        deaf(running) as slow,
    ):
        slow.say(type="SUBSCRIBE")
        await quick.asks("SUBSCRIBE", contractIds=[TOKENS[-1]])
        for usd in range(1, ROUNDS + 1):
            await many_prices(running, usd)
            assert updates(await quick.until_now()) == [(TOKENS[-1], usd)]
            worst = await metric(running, 'stacks_feed_client_buffer_bytes{of="worst"}')
            assert worst <= BUFFER_BYTES
        assert await behind(running) == 1
        heard = updates(await slow.hears(heard_all(dict.fromkeys(TOKENS, ROUNDS))))
        _in_order_and_newest(heard)
        assert len(heard) < ROUNDS * len(TOKENS) / 2
        assert await behind(running) == 0
        # Having caught up it is told of changes as everybody is.
        await price(running.log, TOKENS[0], "77")
        await slow.hears(heard_all({TOKENS[0]: 77}))


def _in_order_and_newest(heard: list[tuple[str, float]]) -> None:
    seen: dict[str, float] = {}
    for each, usd in heard:
        assert usd > seen.get(each, 0), "older, or twice"
        seen[each] = usd
    assert seen == dict.fromkeys(TOKENS, ROUNDS)


@asynccontextmanager
async def stuck(running: Serving) -> AsyncIterator[Deaf]:
    """Connect a client that the edge cannot write to any more."""
    async with deaf(running) as client:
        client.say(type="SUBSCRIBE")
        usd = 0
        while not await behind(running):
            usd += 1
            await many_prices(running, usd)
        yield client


async def test_who_takes_nothing_is_dropped_in_the_end_and_others_never_notice(
    tmp_path: Path,
) -> None:
    async with (
        serving(tmp_path, client_buffer_bytes=BUFFER_BYTES) as running,
        running.listener() as quick,
        stuck(running) as client,
    ):
        before = await closes(running, "stalled")
        await quick.asks("SUBSCRIBE", contractIds=[CHA])
        await running.clock.until_asleep(1)
        await running.clock.advance(25)
        assert await closes(running, "stalled") == before
        # It is the other who answered the ping meanwhile.
        await quick.until_now()
        await running.clock.advance(15)
        assert await closes(running, "stalled") == before + 1
        await client.is_cut_off()
        await price(running.log, CHA, "0.5")
        await running.taken_in()
        assert [m["price"] for m in await quick.until_now()] == [0.5]
        assert await behind(running) == 0


async def test_who_takes_a_little_now_and_then_stays(tmp_path: Path) -> None:
    async with (
        serving(tmp_path, client_buffer_bytes=BUFFER_BYTES) as running,
        stuck(running) as client,
    ):
        before = await closes(running, "stalled"), await closes(running, "no pong")
        await running.clock.until_asleep(1)
        for usd in range(2, 5):
            await running.clock.advance(20)
            await many_prices(running, usd)
            # More than lies ready on its own side.
            await client.hears(heard_some(250))
            client.reader._transport.pause_reading()  # type: ignore[attr-defined]
        assert before == (
            await closes(running, "stalled"),
            await closes(running, "no pong"),
        )


async def test_our_own_standstill_is_not_held_against_a_slow_client(
    tmp_path: Path,
) -> None:
    async with (
        serving(tmp_path, client_buffer_bytes=BUFFER_BYTES) as running,
        stuck(running),
    ):
        before = await closes(running, "stalled")
        await running.clock.until_asleep(1)
        await running.clock.advance(10)
        running.clock.stand_still(40)
        await running.clock.advance(0)
        await running.clock.advance(25)
        assert await closes(running, "stalled") == before


@pytest.mark.parametrize("ends", [True, False])
async def test_an_answer_that_is_not_read_holds_up_nobody(
    tmp_path: Path, *, ends: bool
) -> None:
    async with (
        serving(tmp_path, client_buffer_bytes=BUFFER_BYTES) as running,
        running.listener() as listener,
        deaf(running) as client,
    ):
        await many_prices(running, 1)
        for _ in range(20):
            client.say(type="SUBSCRIBE")
        # The end of an answer may be all that it does not read: then a change waits.
        while not await behind(running):
            await many_prices(running, 2)
        assert await worst_buffer(running) <= BUFFER_BYTES
        if ends:
            client.leave()
        await listener.asks("SUBSCRIBE", contractIds=[CHA])
        await price(running.log, CHA, "0.5")
        await running.taken_in()
        assert [m["price"] for m in await listener.until_now()] == [0.5]


async def many_tokens(log: EventLog) -> None:
    for each in TOKENS[:100]:
        await token(log, each, decimals=6, description="d" * 500)


async def test_a_long_answer_comes_whole_to_who_reads_late(tmp_path: Path) -> None:
    async with (
        serving(
            tmp_path, before=many_tokens, client_buffer_bytes=BUFFER_BYTES
        ) as running,
        deaf(running, "/balances") as client,
    ):
        client.say(type="SUBSCRIBE", userIds=[ANNE, BOB])
        client.say(type="PING", timestamp="end")
        while not await behind(running):
            await running.taken_in()
        # What changes while it waits comes once, in its place.
        await balance(running.log, BOB, TOKENS[0], 7)
        await running.taken_in()
        assert await worst_buffer(running) <= BUFFER_BYTES
        heard = await client.hears(lambda m: m.get("timestamp") == "end")
        entries = [
            (each["userId"], each["contractId"], each["balance"])
            for message in heard
            for each in message.get("balances", [])
        ]
        tokens = sorted(TOKENS[:100])
        held = {TOKENS[0]: 7}
        assert entries == [
            *((ANNE, each, 0) for each in tokens),
            *((BOB, each, held.get(each, 0)) for each in tokens),
        ]
        assert sum(each["type"] == "BALANCE_BATCH" for each in heard) > 5
