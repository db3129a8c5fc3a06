"""An edge that stops: nobody new comes in, and those there are leave one by one."""

import asyncio
import shutil
import socket
import ssl
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from edge.config import Access
from eventlog.port import EventLog
from schemas.log import World
from tests.support.clock import settle
from tests.support.deaf import closes, deaf, metric
from tests.support.event_stream import streaming
from tests.support.secured_kafka import make_ca
from tests.support.serving import (
    CHA,
    LONG_S,
    MARKERS,
    WELSH,
    Message,
    a_log,
    identity,
    price,
    prices,
    two_prices,
    update_of,
)
from tests.support.stopping import a_yard

DRAIN_S = 10.0


async def a_table(log: EventLog) -> None:
    await identity(log, World.SIMULATED)
    await two_prices(log)


async def test_clients_leave_each_at_its_moment_and_hear_of_all_until_then(
    tmp_path: Path,
) -> None:
    moments = iter((0.1, 0.9))
    async with a_log(tmp_path) as log, a_yard() as yard:
        await a_table(log)
        edge = await yard.start(log, drain_s=DRAIN_S, draw=lambda: next(moments))
        async with edge.listener() as early, edge.listener() as late:
            for each in (early, late):
                await each.asks("HELLO", features=["shutdown"])
                await each.asks("SUBSCRIBE", contractIds=[CHA])
            edge.stop()
            notices = [await each.next() for each in (early, late)]
            assert [notice["reconnectInMs"] for notice in notices] == [1_000, 9_000]
            await price(log, CHA, "0.5", version=2)
            for each in (early, late):
                assert await each.next() == update_of(CHA, 0.5)
            await yard.clock.advance(1.0)
            assert await early.closed() == (1012, "restarting")
            await price(log, CHA, "0.6", version=3)
            assert await late.next() == update_of(CHA, 0.6)
            # It may still ask, too.
            assert len(await late.asks("SUBSCRIBE", contractIds=[CHA])) == 1
            await yard.clock.advance(8.0)
            assert await late.closed() == (1012, "restarting")
        await edge.stopped()


async def test_without_a_drain_time_all_leave_at_once_and_are_told_to_come_back_later(
    tmp_path: Path,
) -> None:
    async with a_log(tmp_path) as log, a_yard() as yard:
        await a_table(log)
        edge = await yard.start(log, draw=lambda: 0.5)
        async with edge.listener() as listener:
            await listener.asks("HELLO", features=["shutdown"])
            edge.stop()
            assert (await listener.next())["reconnectInMs"] == 2_500
            assert await listener.closed() == (1012, "restarting")
        await edge.stopped()


async def test_it_says_that_it_is_not_ready_and_lets_nobody_connect(
    tmp_path: Path,
) -> None:
    async with a_log(tmp_path) as log, a_yard() as yard:
        await a_table(log)
        edge = await yard.start(log, drain_s=DRAIN_S, draw=lambda: 0.5)
        async with edge.listener() as listener, edge.http() as kept:
            assert (await kept.get("/health/ready")).status_code == 200
            edge.stop()
            await settle()
            ready = await kept.get("/health/ready")
            assert (ready.status_code, ready.json()["ready"]) == (503, False)
            assert ready.json()["reasons"] == ["table: stopping"]
            refused = await kept.get("/prices")
            assert (refused.status_code, refused.json()["message"]) == (503, "stopping")
            assert refused.headers["retry-after"] == "1"
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", edge.edge.port)
            await yard.clock.advance(DRAIN_S)
            await listener.closed()
        await edge.stopped()


async def test_who_stands_in_line_when_it_stops_is_answered_and_not_reset(
    tmp_path: Path,
) -> None:
    async with a_log(tmp_path) as log, a_yard() as yard:
        await a_table(log)
        edge = await yard.start(log, drain_s=DRAIN_S)
        # The system connects these; the loop has no turn in which to accept them.
        in_line = [
            socket.create_connection(("127.0.0.1", edge.edge.port)) for _ in range(20)
        ]
        for each in in_line:
            each.sendall(b"GET /prices HTTP/1.1\r\nHost: x\r\n\r\n")
        edge.stop()
        for each in in_line:
            reader, writer = await asyncio.open_connection(sock=each)
            async with asyncio.timeout(LONG_S):
                assert (await reader.readline()).startswith(b"HTTP/1.1 503")
            writer.close()
        await edge.stopped()


async def test_told_again_it_sends_all_away_at_once(tmp_path: Path) -> None:
    async with a_log(tmp_path) as log, a_yard() as yard:
        await a_table(log)
        edge = await yard.start(log, drain_s=DRAIN_S, draw=lambda: 0.9)
        async with edge.listener() as listener, deaf(edge) as stuck:
            edge.stop()
            await settle()
            assert await listener.until_now() == []
            edge.stop()
            assert await listener.closed() == (1012, "restarting")
            await stuck.is_cut_off()
        await edge.stopped()


async def test_who_is_behind_gets_what_waits_before_it_is_closed(
    tmp_path: Path,
) -> None:
    many = [f"{WELSH}-{number}" for number in range(3_000)]
    async with a_log(tmp_path) as log, a_yard() as yard:
        await a_table(log)
        edge = await yard.start(
            log, drain_s=DRAIN_S, draw=lambda: 0.1, client_buffer_bytes=40_000
        )
        async with deaf(edge) as slow:
            slow.say(type="SUBSCRIBE", contractIds=[])
            await edge.taken_in()
            await prices(log, many, "1")
            await edge.taken_in()
            assert await metric(edge, "stacks_feed_clients_behind") == 1
            await price(log, CHA, "0.5", version=2)
            await edge.taken_in()
            edge.stop()
            await settle()
            await yard.clock.advance(1.0)
            newest = update_of(CHA, 0.5)
            await slow.hears(lambda m: newest in m.get("prices", [m]))
            await slow.is_cut_off()
        await edge.stopped()


async def test_who_leaves_while_what_waits_is_written_was_not_closed_by_us(
    tmp_path: Path,
) -> None:
    many = [f"{WELSH}-{number}" for number in range(3_000)]
    async with a_log(tmp_path) as log, a_yard() as yard:
        await a_table(log)
        other = await yard.start(log)
        before = await closes(other, "restart")
        edge = await yard.start(
            log, drain_s=DRAIN_S, draw=lambda: 0.1, client_buffer_bytes=40_000
        )
        async with deaf(edge) as slow:
            slow.say(type="SUBSCRIBE", contractIds=[])
            await edge.taken_in()
            await prices(log, many, "1")
            await edge.taken_in()
            edge.stop()
            await settle()
            await yard.clock.advance(1.0)
            slow.leave()
            await edge.stopped()
        # What is counted is of this process: the other edge tells it too.
        assert await closes(other, "restart") == before


async def test_a_stream_of_events_ends_at_its_moment_and_goes_on_at_another_edge(
    tmp_path: Path,
) -> None:
    async with a_log(tmp_path) as log, a_yard() as yard:
        await a_table(log)
        for marker in MARKERS:
            await price(log, marker, "1")
        edge = await yard.start(log, drain_s=DRAIN_S, draw=lambda: 0.5)
        other = await yard.start(log)
        async with streaming(edge) as stream:
            await stream.until_id()
            edge.stop()
            await price(log, CHA, "0.5", version=2)
            assert await stream.until_id() == [update_of(CHA, 0.5)]
            await yard.clock.advance(DRAIN_S / 2)
            assert await stream.rest() == ""
        await price(log, CHA, "0.6", version=3)
        came_from = {"Last-Event-ID": f"{stream.last_id}"}
        async with streaming(other, headers=came_from) as again:
            told: list[Message] = []
            while not told:
                heard = await again.until_id()
                told = [m for m in heard if {"price", "prices"} & m.keys()]
            assert told == [update_of(CHA, 0.6)]
        await edge.stopped()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="install openssl")
async def test_who_stands_in_line_and_never_begins_with_tls_holds_up_nobody(
    tmp_path: Path,
) -> None:
    certificate = make_ca(tmp_path, "edge")
    access = Access(certificate=certificate, certificate_key=tmp_path / "edge.key")
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    async with a_log(tmp_path) as log, a_yard() as yard:
        await a_table(log)
        edge = await yard.start(log, access=access)
        address = "127.0.0.1", edge.edge.port
        silent, asking = [socket.create_connection(address) for _ in range(2)]
        edge.stop()
        reader, writer = await asyncio.open_connection(
            sock=asking, ssl=trusting, server_hostname="edge"
        )
        writer.write(b"GET /prices HTTP/1.1\r\nHost: x\r\n\r\n")
        async with asyncio.timeout(LONG_S):
            assert (await reader.readline()).startswith(b"HTTP/1.1 503")
        writer.close()
        await edge.stopped()
        silent.close()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="install openssl")
async def test_told_to_stop_at_once_it_waits_for_nobody_in_line_and_closes_all(
    tmp_path: Path,
) -> None:
    certificate = make_ca(tmp_path, "edge")
    access = Access(certificate=certificate, certificate_key=tmp_path / "edge.key")
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    async with a_log(tmp_path) as log, a_yard() as yard:
        await a_table(log)
        edge = await yard.start(log, access=access, drain_s=DRAIN_S)
        url = f"wss://127.0.0.1:{edge.edge.port}/prices"
        async with connect(url, ssl=trusting) as client:
            await client.recv()
            with socket.create_connection(("127.0.0.1", edge.edge.port)):
                edge.stop()
                await settle()
                edge.stop()
                await edge.stopped()
            async with asyncio.timeout(LONG_S):
                await client.wait_closed()
            assert (client.close_code, client.close_reason) == (1012, "restarting")
