"""Clients that do not answer, or stay until the end; and the sockets they have."""

import asyncio
import gc
import weakref
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from edge.websocket import Upgraded
from tests.support.deaf import by_hand, closes
from tests.support.serving import (
    CHA,
    LONG_S,
    price,
    serving,
    two_prices,
    update_of,
)

CLIENTS_A_TURN = 300
# Whole frames: a ping without payload, and what answers it.
PING, PONG = b"\x89\x00", b"\x8a\x80\0\0\0\0"
CROWD = 2 * CLIENTS_A_TURN + 50


async def test_a_client_is_pinged_and_stays_while_it_answers(tmp_path: Path) -> None:
    async with serving(tmp_path) as running:
        before = await closes(running, "no pong")
        reader, writer = await by_hand(running)
        for _ in range(3):
            await running.clock.until_asleep(1)
            await running.clock.advance(20)
            async with asyncio.timeout(LONG_S):
                await reader.readuntil(PING)
            # It says nothing else, and what comes after is heard after.
            writer.write(PONG)
            await running.taken_in()
        assert await closes(running, "no pong") == before
        writer.transport.abort()


async def test_who_answers_no_ping_is_dropped(tmp_path: Path) -> None:
    async with serving(tmp_path) as running:
        before = await closes(running, "no pong")
        reader, writer = await by_hand(running)
        for _ in range(2):
            await running.clock.until_asleep(1)
            await running.clock.advance(20)
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await reader.readexactly(1_000_000)
        assert await closes(running, "no pong") == before + 1
        writer.close()


async def test_our_own_standstill_drops_nobody(tmp_path: Path) -> None:
    async with serving(tmp_path) as running:
        _, writer = await by_hand(running)
        await running.clock.until_asleep(1)
        await running.clock.advance(20)
        before = await closes(running, "no pong")
        running.clock.stand_still(25)
        await running.clock.advance(0)
        assert await closes(running, "no pong") == before
        writer.transport.abort()


async def test_a_pings_payload_comes_back(tmp_path: Path) -> None:
    async with (
        serving(tmp_path) as running,
        running.listener() as listener,
        asyncio.timeout(LONG_S),
    ):
        await (await listener.connection.ping(b"are you there"))


async def test_a_stop_tells_every_client_to_come_again(tmp_path: Path) -> None:
    async with serving(tmp_path) as running:
        clients = [
            await connect(f"ws://{running.host}/{party}")
            for party in ("prices", "balances")
        ]
    for client in clients:
        async with asyncio.timeout(LONG_S):
            await client.wait_closed()
        assert client.close_code == 1012


async def test_a_stop_does_not_wait_for_who_does_not_answer(tmp_path: Path) -> None:
    async with serving(tmp_path) as running:
        reader, writer = await by_hand(running)
    with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
        await reader.readexactly(1_000_000)
    writer.close()


async def test_compression_is_not_offered(tmp_path: Path) -> None:
    async with (
        serving(tmp_path) as running,
        connect(f"ws://{running.host}/prices", compression="deflate") as connection,
    ):
        assert connection.protocol.extensions == []


async def test_a_crowd_hears_each_change_once_and_in_order(tmp_path: Path) -> None:
    """Ready frames beside aiohttp's own: none is torn, lost or overtaken."""
    async with (
        serving(tmp_path, before=two_prices) as running,
        AsyncExitStack() as all_,
    ):
        crowd = [
            await all_.enter_async_context(running.listener()) for _ in range(CROWD)
        ]
        for listener in crowd:
            assert len(await listener.asks("SUBSCRIBE", contractIds=[CHA])) == 1
        for usd in range(1, 6):
            await price(running.log, CHA, f"{usd}")
            for listener in crowd[::50]:
                await listener.send("PING", timestamp="x" * 20_000)
                _ = await listener.connection.ping()
            await running.taken_in()
        for listener in crowd:
            heard = [m["price"] for m in await listener.until_now() if "price" in m]
            # A quick reader of the log may see two changes at once: the newer is sent.
            assert heard == sorted(set(heard))
            assert heard[-1] == 5


async def test_nothing_built_before_a_message_arrives_after_its_answer(
    tmp_path: Path,
) -> None:
    """A client asks in the middle of a delivery, which takes several turns."""
    async with (
        serving(tmp_path, before=two_prices) as running,
        AsyncExitStack() as stack,
    ):
        crowd = [
            await stack.enter_async_context(running.listener())
            for _ in range(CLIENTS_A_TURN + 1)
        ]
        for listener in crowd:
            await listener.asks("SUBSCRIBE", contractIds=[CHA])
        with running.clock.without_turns():
            await price(running.log, CHA, "0.5")
            async with asyncio.timeout(LONG_S):
                await running.clock.turn_taken.wait()
            # All have been written to but the last.
            assert (await crowd[0].next())["price"] == 0.5
            await crowd[-1].send("UNSUBSCRIBE", contractIds=[CHA])
            heard = [await crowd[-1].next()]
        heard += await crowd[-1].until_now()
        assert heard == [update_of(CHA, 0.5)]


async def test_a_lost_client_is_freed_without_the_collector(tmp_path: Path) -> None:
    freed = asyncio.Event()
    async with serving(tmp_path) as running, running.listener() as listener:
        gc.disable()
        try:
            # By its type: there are proxies of what is gone, which are not to be asked.
            (found,) = [
                each for each in gc.get_objects() if issubclass(type(each), Upgraded)
            ]
            weakref.finalize(found, freed.set)
            del found
            listener.connection.transport.abort()
            async with asyncio.timeout(LONG_S):
                await freed.wait()
        finally:
            gc.enable()
