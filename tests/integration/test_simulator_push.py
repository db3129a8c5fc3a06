"""The simulator's push over real sockets, and its ways of falling silent."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from simulator.core.faults import Fault, Kind
from simulator.core.world import STX
from simulator.server import Simulator, running
from simulator.stage import MAX_WAITING_FRAMES
from tests.support.simulator import CONFIG, NOBODY, get, post


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with running(CONFIG) as started:
        yield started


@pytest.fixture
async def client(simulator: Simulator) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=simulator.url) as opened:
        yield opened


def push(simulator: Simulator) -> connect:
    url = simulator.url.replace("http://", "ws://")
    return connect(f"{url}/hiro/extended/v1/ws", proxy=None)


async def subscribe(socket: ClientConnection, **params: str) -> Any:
    asked = {"jsonrpc": "2.0", "id": 1, "method": "subscribe", "params": params}
    await socket.send(json.dumps(asked))
    return await hear(socket)


async def hear(socket: ClientConnection) -> Any:
    return json.loads(await socket.recv())


async def test_blocks_are_announced(
    simulator: Simulator, client: httpx.AsyncClient
) -> None:
    async with push(simulator) as socket:
        answer = await subscribe(socket, event="block")
        assert answer == {"jsonrpc": "2.0", "id": 1, "result": {}}
        ticked = await post(client, "/admin/tick")
        note = await hear(socket)
        assert note["method"] == "block"
        assert note["params"]["height"] == ticked["height"]
        assert (await get(client, "/admin/world"))["listeners"] == 1


async def test_a_changed_holding_is_hinted_at(
    simulator: Simulator, client: httpx.AsyncClient
) -> None:
    token = simulator.stage.world.subnets[0].contract_id
    async with push(simulator) as socket:
        await subscribe(socket, event="address_tx_update", address=NOBODY)
        await subscribe(socket, event="address_balance_update", address=NOBODY)
        for contract_id in (STX, token):
            await post(
                client,
                "/admin/balance",
                user=NOBODY,
                contractId=contract_id,
                amount="5",
            )
            notes = [await hear(socket) for _ in range(2)]
            methods = [note["method"] for note in notes]
            assert methods == ["address_tx_update", "address_balance_update"]
            assert {note["params"]["address"] for note in notes} == {NOBODY}
            assert notes[1]["params"]["balance"] == "5"


async def test_a_reorg_is_hinted_at(
    simulator: Simulator, client: httpx.AsyncClient
) -> None:
    await post(client, "/admin/balance", user=NOBODY, contractId="stx", amount="5")
    async with push(simulator) as socket:
        await subscribe(socket, event="address_balance_update", address=NOBODY)
        await post(client, "/admin/reorg")
        assert (await hear(socket))["params"]["balance"] == "0"


async def test_an_invalid_subscription_is_an_error(simulator: Simulator) -> None:
    async with push(simulator) as socket:
        answer = await subscribe(socket, event="address_tx_update", address="SP1")
        assert answer["error"]["data"] == "invalid address"
        await socket.send(b"binary is ignored")
        await (await socket.ping())


async def test_the_chain_ticks_by_itself() -> None:
    async with (
        running(replace(CONFIG, tick_s=0.01)) as started,
        push(started) as socket,
    ):
        await subscribe(socket, event="block")
        first, second = await hear(socket), await hear(socket)
        assert second["params"]["height"] == first["params"]["height"] + 1


async def test_a_stopping_simulator_says_goodbye() -> None:
    async with running(CONFIG) as started:
        socket = await push(started)
        await subscribe(socket, event="block")
    with pytest.raises(ConnectionClosed):
        await socket.recv()
    assert socket.close_code == 1001


@pytest.mark.parametrize("kind", ["429", "502", "503"])
async def test_connecting_can_be_refused(
    simulator: Simulator, client: httpx.AsyncClient, kind: str
) -> None:
    await post(client, "/admin/faults", upstream="push", kind=kind, count=1)
    with pytest.raises(InvalidStatus) as refused:
        await push(simulator)
    assert refused.value.response.status_code == int(kind)
    counted = await get(client, "/admin/requests")
    assert counted["upstreams"]["push"] == {"/extended/v1/ws": 1}


async def test_a_mute_socket_is_open_and_says_nothing(
    simulator: Simulator, client: httpx.AsyncClient
) -> None:
    async with push(simulator) as socket:
        await subscribe(socket, event="block")
        await post(client, "/admin/faults", upstream="push", kind="mute", count=2)
        ticked = await post(client, "/admin/tick", count=3)
        assert (await hear(socket))["params"]["height"] == ticked["height"]


async def test_a_frame_can_be_torn_and_a_socket_cut(
    simulator: Simulator, client: httpx.AsyncClient
) -> None:
    async with push(simulator) as socket:
        await subscribe(socket, event="block")
        await post(client, "/admin/faults", upstream="push", kind="malformed", count=1)
        await post(client, "/admin/tick")
        with pytest.raises(json.JSONDecodeError):
            await hear(socket)
        await post(client, "/admin/faults", upstream="push", kind="disconnect", count=1)
        await post(client, "/admin/tick")
        with pytest.raises(ConnectionClosed):
            await hear(socket)


@pytest.mark.parametrize(
    ("kind", "left"), [("drop-subscriptions", 1), ("delete-subscriptions", 0)]
)
async def test_a_ping_can_cost_subscriptions_without_a_word(
    simulator: Simulator, client: httpx.AsyncClient, kind: str, left: int
) -> None:
    owners = simulator.stage.world.accounts[:3]
    async with push(simulator) as socket:
        for owner in owners:
            await subscribe(socket, event="address_balance_update", address=owner)
        await post(client, "/admin/faults", upstream="push", kind=kind, count=1)
        assert (await post(client, "/admin/ping"))["listeners"] == 1
        await subscribe(socket, event="block")
        for owner in owners:
            await post(
                client, "/admin/balance", user=owner, contractId="stx", amount="1"
            )
        notes = [await hear(socket) for _ in range(3 + left)]
        hints = [note for note in notes if note["method"] != "block"]
        assert [note["params"]["address"] for note in hints] == list(owners[:left])


async def test_who_answers_pings_keeps_what_it_asked_for(
    simulator: Simulator, client: httpx.AsyncClient
) -> None:
    async with push(simulator) as socket:
        await subscribe(socket, event="block")
        for _ in range(3):
            await post(client, "/admin/ping")
            await post(client, "/admin/tick")
            assert (await hear(socket))["method"] == "block"
            # Its pong came before this ping, and the server reads in order.
            await (await socket.ping())


async def test_who_misses_a_ping_loses_what_it_asked_for(
    simulator: Simulator, client: httpx.AsyncClient
) -> None:
    async with push(simulator) as socket:
        await subscribe(socket, event="block")
        (listener,) = simulator.stage.listeners
        for _ in range(2):
            simulator.stage.ping(listener)
        await post(client, "/admin/tick")
        assert (await subscribe(socket, event="mempool"))["result"] == {}
        assert len(listener.topics) == 1


async def test_pings_come_by_themselves() -> None:
    lost = Fault("push", Kind.DELETE_SUBSCRIPTIONS)
    config = replace(CONFIG, ping_s=0.01, faults=(lost,))
    async with running(config) as started, push(started) as socket:
        await subscribe(socket, event="block")
        (listener,) = started.stage.listeners
        while listener.topics:
            await (await socket.ping())


async def test_a_listener_too_slow_is_cut_off() -> None:
    async with running(replace(CONFIG, moves_per_tick=0)) as started:
        socket = await push(started)
        await subscribe(socket, event="block")
        for _ in range(MAX_WAITING_FRAMES + 1):
            started.stage.advance()
        with pytest.raises(ConnectionClosed):
            await read_to_the_end(socket)


async def read_to_the_end(socket: ClientConnection) -> None:
    while True:
        await socket.recv()
