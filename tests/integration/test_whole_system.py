"""The whole system on a broker: two processors, two edges, and deaths in between."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from websockets.asyncio.client import ClientConnection

from eventlog.partition import partition_of
from schemas.ids import ContractId
from tests.support.deployment import Deployment, Instance, answers, deployment
from tests.support.processes import LIMIT_S, run
from tests.support.system import client

pytestmark = [pytest.mark.broker, pytest.mark.slow, pytest.mark.timeout(240)]

PARTITIONS = 3
OWNER = "SP2ZNGJ85ENDY6QRHQ5P2D4FXKGZWCKTB2T0Z55KS"
TOKEN = f"{OWNER}.charisma-token"
SUBNET = f"{OWNER}.charisma-token-subnet-v1"
# A processor that was killed is missed after its session: the least a broker allows.
SESSION_S = 6


@pytest.fixture
async def deployed(broker: str, tmp_path: Path) -> AsyncIterator[Deployment]:
    """Give a log of its own on the broker, its topics applied, and a simulator."""
    settings = {
        "log": f"kafka://{broker}",
        "log_prefix": f"w{uuid4().hex[:12]}.",
        "environment": "development",
        "partitions": PARTITIONS,
        "kafka_session_timeout_s": SESSION_S,
        "price_interval_s": 0.5,
        "balance_interval_s": 0.5,
        # Nothing moves but what a test moves.
        "simulator_tick_s": 0,
    }
    applied = await run("topics", "apply", cwd=tmp_path, **settings)
    assert applied.code == 0, applied
    async with deployment(tmp_path, **settings) as running:
        await running.start("simulator")
        await answers(f"{running.simulator}/admin/faults")
        yield running


async def a_token_of_each_shard(running: Deployment) -> list[str]:
    async with httpx.AsyncClient() as http:
        world = (await http.get(f"{running.simulator}/admin/world")).json()
    ids = [ContractId(token["contractId"]) for token in world["tokens"]]
    found = {partition_of(f"{id_}".encode(), PARTITIONS): f"{id_}" for id_ in ids}
    assert len(found) == PARTITIONS
    return list(found.values())


class Subscriber:
    """A client of one edge."""

    def __init__(self, prices: ClientConnection, balances: ClientConnection) -> None:
        self._prices, self._balances = prices, balances

    async def subscribe(self) -> None:
        await self._prices.send('{"type":"SUBSCRIBE"}')
        asked = {"type": "SUBSCRIBE", "userIds": [OWNER]}
        await self._balances.send(json.dumps(asked))

    async def prices(self, tokens: Iterable[str], *, usd: float) -> None:
        """Wait until each token has had that price; the last messages may say them all."""
        missing = set(tokens)
        async with asyncio.timeout(2 * LIMIT_S):
            while missing:
                found = await _updates(self._prices, "prices")
                missing -= {u["contractId"] for u in found if u["price"] == usd}

    async def balance(self, mainnet: int, subnet: int) -> dict[str, Any]:
        """Wait for one message with both balances of the token; return it."""
        async with asyncio.timeout(2 * LIMIT_S):
            while True:
                updates = await _updates(self._balances, "balances")
                found = [u for u in updates if _layers(u) == (TOKEN, mainnet, subnet)]
                if found:
                    return found[0]


def _layers(update: dict[str, Any]) -> tuple[object, ...]:
    return update["contractId"], update["balance"], update.get("subnetBalance")


async def _updates(connection: ClientConnection, many: str) -> list[dict[str, Any]]:
    """Return the updates of the next message: one, a batch of them, or none."""
    message = json.loads(await connection.recv())
    found: list[dict[str, Any]] = message.get(many, [message])
    return [update for update in found if "contractId" in update]


async def subscriber(stack: AsyncExitStack, edge: Instance) -> Subscriber:
    """Connect to an edge and subscribe to all prices and one user's balances."""
    at = f"ws://127.0.0.1:{edge.port}/parties"
    prices = await stack.enter_async_context(client(f"{at}/prices/main"))
    balances = await stack.enter_async_context(client(f"{at}/balances/main"))
    subscribed = Subscriber(prices, balances)
    await subscribed.subscribe()
    return subscribed


async def snapshot(edge: Instance, path: str) -> dict[str, Any]:
    """Return what an edge answers, by token; not what only says when it was asked."""
    async with httpx.AsyncClient() as http:
        answer = (await http.get(f"{edge.url}{path}")).json()
    found = answer.get("prices") or answer.get("balances") or []
    return {update["contractId"]: _lasting(update) for update in found}


def _lasting(update: dict[str, Any]) -> dict[str, Any]:
    if update["source"] == "default-zero":
        return {**update, "timestamp": 0}
    return update


async def agree(one: Instance, other: Instance) -> None:
    """Wait until both edges answer the same, as they do when nothing is under way."""
    for path in ("/parties/prices/main", f"/parties/balances/main?users={OWNER}"):
        async with asyncio.timeout(LIMIT_S):
            while (found := await snapshot(one, path)) != await snapshot(other, path):
                pass
        assert found


async def shards_owned(processors: list[Instance]) -> list[float]:
    return [await each.metric("stacks_feed_shards_owned") for each in processors]


async def until_shared(processors: list[Instance]) -> None:
    """Wait until each processor has a share of the shards, and all have an owner."""
    async with asyncio.timeout(2 * LIMIT_S):
        while sum(owned := await shards_owned(processors)) < PARTITIONS or 0 in owned:
            pass


async def test_values_reach_clients_of_every_edge_whoever_dies(
    deployed: Deployment,
) -> None:
    processors, edges = await started(deployed)
    tokens = await a_token_of_each_shard(deployed)

    async with AsyncExitStack() as stack:
        subscribers = [await subscriber(stack, edge) for edge in edges]
        await pin(deployed, tokens, usd=1.25)
        await hold(deployed, mainnet=7_000_000, subnet=3_000_000)
        for each in subscribers:
            await each.prices(tokens, usd=1.25)
            update = await each.balance(7_000_000, 3_000_000)
            assert update["subnetContractId"] == SUBNET
            assert update["metadata"]["symbol"] == "CHA"
        await agree(*edges)

        await processors[0].killed()
        await edges[0].killed()
        await pin(deployed, tokens, usd=2.5)
        await hold(deployed, mainnet=8_000_000, subnet=4_000_000)
        await subscribers[1].prices(tokens, usd=2.5)
        await subscribers[1].balance(8_000_000, 4_000_000)

        back = await deployed.start("edge")
        await back.ready()
        again = await subscriber(stack, back)
        await again.balance(8_000_000, 4_000_000)
        await agree(back, edges[1])

    await all_stop_when_told(deployed, count=5)


async def started(running: Deployment) -> tuple[list[Instance], list[Instance]]:
    """Start everything; return the processors and the edges, all ready."""
    ingest = await running.start("ingest")
    processors = [await running.start("processor") for _ in range(2)]
    edges = [await running.start("edge") for _ in range(2)]
    for instance in (ingest, *processors, *edges):
        await instance.ready()
    await until_shared(processors)
    return processors, edges


async def all_stop_when_told(running: Deployment, *, count: int) -> None:
    ended = await running.stopped()
    assert len(ended) == count
    assert set(ended.values()) == {0}, ended
    assert [i.failures() for i in running.instances if i.failures()] == []


async def pin(running: Deployment, tokens: Iterable[str], *, usd: float) -> None:
    """Let every source quote one price for these tokens."""
    for token in tokens:
        await running.admin("price", contractId=token, usd=usd)


async def hold(running: Deployment, *, mainnet: int, subnet: int) -> None:
    """Let the user hold so much of the token in both layers."""
    for contract, amount in ((TOKEN, mainnet), (SUBNET, subnet)):
        await running.admin(
            "balance", user=OWNER, contractId=contract, amount=f"{amount}"
        )
