"""The client library against a real edge: what is published is what a program gets."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from edge.config import Allowances
from edge.core.limits import Rate
from eventlog.port import EventLog
from schemas.base import encode
from schemas.ids import Network
from schemas.latest import IDENTITY_KEY, balance_key, price_key
from schemas.log import LogIdentity, World
from stacks_feed_client import (
    BalanceKey,
    Clock,
    Feed,
    Options,
    Price,
    State,
    Subscription,
    connect,
)
from tests.support.clock import ManualClock
from tests.support.feeding import (
    Publisher,
    Relay,
    a_token,
    eager,
    next_of,
    relaying,
    until_status,
)
from tests.support.serving import (
    ANNE,
    BOB,
    CHA,
    LONG_S,
    PARTITIONS,
    WELSH,
    a_log,
    balance,
    demanded,
    identity,
    price,
    put,
    serving,
    serving_from,
    the_tokens,
    two_prices,
)

ALL_FEATURES = {"ack", "seq", "resume", "heartbeat", "exact", "shutdown"}


async def test_all_prices_come_first_and_then_every_change(tmp_path: Path) -> None:
    async with (
        serving(tmp_path, before=two_prices) as running,
        connect(f"ws://{running.host}", options=eager()) as feed,
    ):
        updates = feed.subscribe()
        async with asyncio.timeout(LONG_S):
            snapshot = await updates.snapshot()
        assert {k: v.price for k, v in snapshot.items()} == {
            ".stx": Decimal("0.63"),
            CHA: Decimal("0.4684"),
        }
        assert feed.features == ALL_FEATURES
        assert {(await next_of(updates)).key for _ in range(2)} == {".stx", CHA}
        await Publisher(running.log, {WELSH: 4}).price(WELSH)
        update = await next_of(updates)
        assert update.value is not None
        assert (update.key, update.value.version) == (WELSH, 5)
        assert feed.view[WELSH] == update.value


async def test_a_server_without_extras_is_read_in_the_base_protocol(
    tmp_path: Path,
) -> None:
    async with (
        serving(tmp_path, before=two_prices, features=()) as running,
        connect(f"ws://{running.host}", options=eager()) as feed,
    ):
        updates = feed.subscribe("stx")
        async with asyncio.timeout(LONG_S):
            snapshot = await feed.snapshot()
        assert feed.features == set()
        assert {k: v.price for k, v in snapshot.items()} == {".stx": Decimal("0.63")}
        assert snapshot[".stx"].version is None
        assert (await next_of(updates)).value == snapshot[".stx"]


async def test_balances_of_a_user_come_with_every_digit_and_every_subnet(
    tmp_path: Path,
) -> None:
    largest = 2**128 - 1
    async with (
        serving(tmp_path, before=the_tokens) as running,
        connect(f"ws://{running.host}", party="balances", options=eager()) as feed,
    ):
        await balance(running.log, ANNE, CHA, largest, charisma_token_subnet_v1=500_000)
        await running.taken_in()
        updates = feed.subscribe(ANNE)
        async with asyncio.timeout(LONG_S):
            snapshot = await updates.snapshot()
        found = snapshot[BalanceKey(ANNE, CHA)]
        assert found.balance == largest
        assert found.formatted == Decimal("340282366920938463463374607431768.211455")
        assert [part.balance for part in found.subnets] == [500_000]
        assert found.token.symbol == "CHA"
        assert not snapshot[BalanceKey(ANNE, WELSH)].is_held
        heard = [await next_of(updates) for _ in snapshot]
        assert {update.key for update in heard} == snapshot.keys()
        await balance(running.log, BOB, CHA, 1)
        await put(running.log, "latest", balance_key(ANNE, CHA), None)
        gone = await next_of(updates)
        assert (gone.key, gone.value) == (BalanceKey(ANNE, CHA), None)
        assert gone.key not in feed.view


async def test_a_refresh_asked_for_reaches_the_log(tmp_path: Path) -> None:
    async with (
        serving(tmp_path, before=two_prices) as running,
        connect(f"ws://{running.host}", options=eager()) as feed,
    ):
        feed.refresh()
        await until_status(feed, State.LIVE)
        async with asyncio.timeout(LONG_S):
            while "refresh:prices" not in dict(await demanded(running.log)):
                pass  # reading the log takes turns of the loop


async def test_closing_a_subscription_ends_it_and_leaves_the_others(
    tmp_path: Path,
) -> None:
    async with (
        serving(tmp_path, before=two_prices) as running,
        connect(f"ws://{running.host}", options=eager()) as feed,
    ):
        publisher = Publisher(running.log, {CHA: 1, ".stx": 1})
        kept = feed.subscribe(CHA)
        async with feed.subscribe() as everything:
            async with asyncio.timeout(LONG_S):
                await everything.snapshot()
        assert [update async for update in everything] == []
        await next_of(kept)
        await until_status(feed, State.LIVE)
        await publisher.price(".stx")
        await publisher.price(CHA)
        update = await next_of(kept)
        assert update.value is not None
        assert update.value.version == 2
        assert set(feed.view) == {CHA}


@dataclass
class TwoEdges:
    """Two edges over one log, each behind a relay, that die and come back."""

    log: EventLog
    relays: list[Relay]
    edges: list[AsyncExitStack] = field(
        default_factory=lambda: [AsyncExitStack(), AsyncExitStack()]
    )

    @property
    def urls(self) -> list[str]:
        return [f"ws://127.0.0.1:{relay.port}" for relay in self.relays]

    async def start(self, which: int) -> None:
        running = await self.edges[which].enter_async_context(serving_from(self.log))
        self.relays[which].target = running.edge.port

    async def kill(self, which: int) -> None:
        self.relays[which].cut()
        await self.edges[which].aclose()


@asynccontextmanager
async def two_edges(folder: Path) -> AsyncIterator[TwoEdges]:
    async with a_log(folder) as log, relaying() as one, relaying() as other:
        await identity(log, World.SIMULATED)
        edges = TwoEdges(log, [one, other])
        for which in range(2):
            await edges.start(which)
        try:
            yield edges
        finally:
            for which in range(2):
                await edges.kill(which)


async def test_two_edges_one_killed_and_back_no_gap_and_no_repeat(
    tmp_path: Path,
) -> None:
    tokens = [a_token("followed") for _ in range(4)]
    async with (
        two_edges(tmp_path) as edges,
        connect(*edges.urls, options=eager()) as feed,
    ):
        publisher = Publisher(edges.log)
        updates, heard = feed.subscribe(*tokens), dict.fromkeys(tokens, 0)
        for died in (0, 1, 0, 1):
            # An edge sends of what it reads at once the newest: one round at a time.
            for _ in range(3):
                await publisher.round(tokens)
                await hear_all(updates, heard, publisher.versions)
            await edges.kill(died)
            # Published while nobody may be listening.
            await publisher.round(tokens)
            await hear_all(updates, heard, publisher.versions)
            status = await until_status(feed, State.LIVE)
            assert status.recovered is not False
            await edges.start(died)
        assert feed.counts.connections > 2
        assert feed.counts.gaps == feed.counts.conflated == 0


async def hear_all(
    updates: Subscription[str, Price], heard: dict[Any, int], published: dict[str, int]
) -> None:
    """Hear every version that was published, each after the one before."""
    while heard != published:
        update = await next_of(updates)
        assert update.value is not None
        assert update.value.version == heard[update.key] + 1
        heard[update.key] += 1


async def test_what_was_withdrawn_while_away_is_reported_as_removed(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path, before=two_prices) as running, relaying() as relay:
        relay.target = running.edge.port
        async with connect(f"ws://127.0.0.1:{relay.port}", options=eager()) as feed:
            updates = feed.subscribe()
            await until_status(feed, State.LIVE)
            assert {(await next_of(updates)).key for _ in range(2)} == {".stx", CHA}
            relay.cut()
            await put(running.log, "latest", price_key(CHA), None)
            await running.taken_in()
            relay.target = running.edge.port
            status = await until_status(feed, State.LIVE, recovered=True)
            assert status.recovered
            assert {key for key in feed.view if key in {CHA, ".stx"}} == {".stx"}


async def ask_in_turn(feed: Feed[str, Price], rounds: int) -> None:
    """Subscribe to one token after the other, each until it is answered."""
    for contract in itertools.islice(itertools.cycle([CHA, ".stx", WELSH]), rounds):
        async with feed.subscribe(contract) as once:
            await once.snapshot()


async def refresh_often(feed: Feed[str, Price], clock: Clock) -> None:
    for _ in range(150):
        feed.refresh()
        await clock.sleep(0.01)


async def test_a_program_that_asks_a_lot_stays_connected(tmp_path: Path) -> None:
    allowed = Allowances(messages=Rate(20, 100))
    async with serving(tmp_path, before=two_prices, allowances=allowed) as running:
        options = Options(clock=running.clock, draw=lambda: 0.0)
        async with connect(f"ws://{running.host}", options=options) as feed:
            await moving(running.clock, ask_in_turn(feed, 60))
            await moving(running.clock, refresh_often(feed, running.clock))
            assert feed.counts.connections == 1


async def test_where_less_is_allowed_it_slows_down_and_comes_back(
    tmp_path: Path,
) -> None:
    allowed = Allowances(messages=Rate(1, 8))
    async with serving(tmp_path, before=two_prices, allowances=allowed) as running:
        options = Options(clock=running.clock, draw=lambda: 0.0)
        async with connect(f"ws://{running.host}", options=options) as feed:
            await moving(running.clock, ask_in_turn(feed, 20))
            assert 1 < feed.counts.connections < 10


async def moving(clock: ManualClock, program: Coroutine[Any, Any, None]) -> None:
    """Let time go on until a program is through."""
    async with asyncio.timeout(LONG_S), asyncio.TaskGroup() as group:
        task = group.create_task(program)
        while not task.done():
            await clock.advance(0.05)


async def test_a_restart_is_announced_and_another_edge_is_used_at_once(
    tmp_path: Path,
) -> None:
    async with a_log(tmp_path) as log:
        await identity(log, World.SIMULATED)
        await two_prices(log)
        first = AsyncExitStack()
        # Its notice asks to stay away for half of five seconds.
        opened = serving_from(log, drawn=0.5)
        running = await first.enter_async_context(opened)
        async with serving_from(log) as other:
            urls = [f"ws://{running.host}", f"ws://{other.host}"]
            async with connect(*urls, options=eager()) as feed:
                feed.subscribe()
                await until_status(feed, State.LIVE)
                await first.aclose()
                status = await until_status(feed, State.LIVE, recovered=True)
                assert other.host in status.url


async def test_the_only_edge_is_come_back_to_when_it_said(tmp_path: Path) -> None:
    clock = ManualClock()
    async with a_log(tmp_path) as log, relaying() as relay:
        await identity(log, World.SIMULATED)
        await two_prices(log)
        first = AsyncExitStack()
        # Its notice asks to stay away for half of five seconds.
        opened = serving_from(log, drawn=0.5)
        running = await first.enter_async_context(opened)
        relay.target = running.edge.port
        options = Options(clock=clock, draw=lambda: 0.0)
        async with connect(f"ws://127.0.0.1:{relay.port}", options=options) as feed:
            feed.subscribe()
            await until_status(feed, State.LIVE)
            await first.aclose()
            await until_status(feed, State.CONNECTING)
            await clock.until_asleep()
            async with serving_from(log) as second:
                relay.target = second.edge.port
                await clock.advance(2.4)
                assert feed.status.state is State.CONNECTING
                await clock.advance(0.1)
                await until_status(feed, State.LIVE, recovered=True)


async def test_on_another_log_everything_is_told_anew_and_what_is_gone_removed(
    tmp_path: Path,
) -> None:
    (tmp_path / "other").mkdir()
    async with serving(tmp_path, before=two_prices) as running, relaying() as relay:
        relay.target = running.edge.port
        async with (
            serving(tmp_path / "other", before=another_log) as other,
            connect(f"ws://127.0.0.1:{relay.port}", options=eager()) as feed,
        ):
            updates = feed.subscribe()
            assert {(await next_of(updates)).key for _ in range(2)} == {".stx", CHA}
            await until_status(feed, State.LIVE)
            relay.cut()
            relay.target = other.edge.port
            await until_status(feed, State.LIVE, recovered=False)
            assert feed.view.keys() == {CHA}
            news = [await next_of(updates) for _ in range(2)]
            values = {update.key: update.value for update in news}
            assert values[".stx"] is None
            assert values[CHA] == feed.view[CHA]


async def another_log(log: EventLog) -> None:
    said = LogIdentity(
        id="1" * 32,
        network=Network.MAINNET,
        world=World.SIMULATED,
        partitions=PARTITIONS,
        created_at=0,
    )
    await put(log, "latest", IDENTITY_KEY, encode(said))
    await price(log, CHA, "0.25")
