"""Several edges behind one port: who gets the connections, and a rolling restart."""

import asyncio
import random
import socket
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from edge.service import running
from eventlog.port import EventLog
from schemas.log import World
from stacks_feed_client import Options
from tests.support.clock import ManualClock
from tests.support.feeding import Publisher, a_token
from tests.support.held_log import HeldLog
from tests.support.programs import Program, programs_at, round_heard
from tests.support.serving import (
    CHA,
    LONG_S,
    PARTITIONS,
    a_log,
    config_of,
    identity,
    price,
)
from tests.support.stopping import Stoppable, Yard, a_yard

# Nobody answers for all of them here; that they share the port is what is tried.
SHARED: dict[str, Any] = {"together_port": 1}
DRAIN_S = 10.0


@asynccontextmanager
async def two_logs(folder: Path) -> AsyncIterator[tuple[EventLog, EventLog]]:
    """Two logs that differ in one price, which tells who answered."""
    async with AsyncExitStack() as stack:
        logs = []
        for usd in ("1", "2"):
            (folder / usd).mkdir()
            log = await stack.enter_async_context(a_log(folder / usd))
            await identity(log, World.SIMULATED)
            await price(log, CHA, usd)
            logs.append(log)
        yield logs[0], logs[1]


async def who_answered(port: int, *, times: int) -> "Counter[float]":
    """Ask for the price again and again, on a new connection each time."""
    found: Counter[float] = Counter()
    none_kept = httpx.Limits(max_keepalive_connections=0)
    async with httpx.AsyncClient(timeout=LONG_S, limits=none_kept) as http:
        for _ in range(times):
            answer = await http.get(f"http://127.0.0.1:{port}/prices?tokens={CHA}")
            found[answer.json()["prices"][0]["price"]] += 1
    return found


async def test_the_system_shares_out_connections_and_one_that_left_gets_none(
    tmp_path: Path,
) -> None:
    """Not evenly: by a hash of the addresses, whoever is busy."""
    async with two_logs(tmp_path) as (one, other), a_yard() as yard:
        staying = await yard.start(one, **SHARED)
        port = staying.edge.port
        leaving = await yard.start(
            other, port=port, drain_s=DRAIN_S, draw=lambda: 0.5, **SHARED
        )
        shares = await who_answered(port, times=100)
        # By chance alone one of ten thousand million runs would have less than 20.
        assert min(shares[1], shares[2]) >= 20
        async with leaving.listener() as kept:
            leaving.stop()
            await asyncio.sleep(0)
            assert await who_answered(port, times=20) == {1: 20}
            assert await kept.until_now() == []
            await yard.clock.advance(DRAIN_S)
        await leaving.stopped()


async def test_one_that_has_not_read_the_table_gets_no_connections(
    tmp_path: Path,
) -> None:
    async with two_logs(tmp_path) as (_, log), a_yard() as yard:
        held = HeldLog(log)
        held.free.clear()
        starting = await yard.start(held.log, read=False, **SHARED)
        port = starting.edge.port
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)
        held.free.set()
        async with asyncio.timeout(LONG_S):
            await starting.edge.caught_up.wait()
        assert await who_answered(port, times=1) == {2: 1}


async def passing(clock: ManualClock, waiting: "asyncio.Task[None]") -> None:
    """Let time pass until this is done."""
    while not waiting.done():
        await clock.advance(0.05)


@pytest.mark.slow
async def test_a_rolling_restart_under_a_changing_table_loses_and_repeats_nothing(
    tmp_path: Path,
) -> None:
    tokens = [a_token("rolling") for _ in range(4)]
    async with a_log(tmp_path) as log, a_yard() as yard, AsyncExitStack() as stack:
        await identity(log, World.SIMULATED)
        draw = random.Random(1).random
        settings: dict[str, Any] = {"drain_s": DRAIN_S, "draw": draw, **SHARED}
        edges = [await yard.start(log, **settings)]
        port = edges[0].edge.port
        edges.append(await yard.start(log, port=port, **settings))
        programs = await stack.enter_async_context(
            programs_at(
                f"ws://127.0.0.1:{port}",
                tokens,
                count=8,
                options=Options(clock=yard.clock, draw=draw),
            )
        )
        rounds = _Rounds(yard, Publisher(log), programs, tokens)
        await rounds.run_once()
        for which in range(2):
            edges[which].stop()
            await rounds.run_while(edges[which])
            edges[which] = await yard.start(log, port=port, **settings)
            await rounds.run_once()
        feeds = [program.feed for program in programs]
        assert all(feed.counts.gaps == 0 for feed in feeds)
        assert all(feed.status.recovered is not False for feed in feeds)
        # Both edges were left by all who were there.
        assert all(feed.counts.connections > 1 for feed in feeds)


async def test_a_name_is_listened_on_at_all_its_addresses(tmp_path: Path) -> None:
    found = socket.getaddrinfo("localhost", None, type=socket.SOCK_STREAM)
    async with two_logs(tmp_path) as (log, _), a_yard() as yard:
        edge = await yard.start(log, host="localhost")
        for address in {str(at[0]) for *_, at in found}:
            _, writer = await asyncio.open_connection(address, edge.edge.port)
            writer.close()


@pytest.mark.parametrize("shared", [{}, SHARED], ids=["alone", "shared"])
async def test_a_port_of_others_is_refused_by_its_address(
    tmp_path: Path, shared: dict[str, Any]
) -> None:
    async with a_log(tmp_path) as log:
        with socket.create_server(("127.0.0.1", 0)) as others:
            port = others.getsockname()[1]
            config = config_of(host="127.0.0.1", port=port, **shared)
            opened = running(log, config, partitions=PARTITIONS, clock=ManualClock())
            with pytest.raises(OSError, match=rf"127.0.0.1.*{port}.*in use"):
                await opened.__aenter__()


class _Rounds:
    """Publishes round after round; each is heard by all before the next."""

    def __init__(
        self,
        yard: Yard,
        publisher: Publisher,
        programs: Sequence[Program],
        tokens: Sequence[str],
    ) -> None:
        self._yard, self._publisher = yard, publisher
        self._programs, self._tokens = programs, tokens

    async def run_once(self) -> None:
        hearing = round_heard(self._publisher, self._tokens, self._programs)
        async with asyncio.TaskGroup() as group:
            await passing(self._yard.clock, group.create_task(hearing, name="round"))

    async def run_while(self, edge: Stoppable) -> None:
        """Go on until an edge has stopped, while a little time passes each round."""
        while not edge.task.done():
            await self.run_once()
            await self._yard.clock.advance(0.25)
