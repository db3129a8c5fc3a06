"""The simulator over real sockets: every fault of its HTTP."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest

from simulator.core import clarity
from simulator.core.c32 import parse_principal
from simulator.core.faults import Fault, Kind
from simulator.server import Simulator, running
from tests.support.simulator import CONFIG, balances, call, get, post


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with running(CONFIG, clock=lambda: 1_700_000_000.0) as started:
        yield started


@pytest.fixture
async def client(simulator: Simulator) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=simulator.url) as opened:
        yield opened


FAULTY = "/hiro/extended"


@pytest.mark.parametrize(
    ("kind", "status"),
    [("429", 429), ("500", 500), ("502", 502), ("503", 503), ("410", 410)],
)
async def test_a_fault_of_status_strikes_as_often_as_asked(
    client: httpx.AsyncClient, kind: str, status: int
) -> None:
    await post(
        client, "/admin/faults", upstream="hiro", kind=kind, count=1, retryAfter=3
    )
    struck = await client.get(FAULTY)
    assert struck.status_code == status
    assert struck.headers.get("retry-after") == ("3" if status == 429 else None)
    assert "ratelimit-limit" in struck.headers
    assert (await client.get(FAULTY)).status_code == 200


async def test_faults_are_shown_and_lifted(client: httpx.AsyncClient) -> None:
    await post(client, "/admin/faults", upstream="kraxel", kind="html")
    (shown,) = (await get(client, "/admin/faults"))["faults"]
    assert (shown["upstream"], shown["count"]) == ("kraxel", None)
    assert "<html>" in (await client.get("/kraxel/api/prices")).text
    assert (await client.get(FAULTY)).status_code == 200
    await client.delete("/admin/faults")
    assert await get(client, "/kraxel/api/prices")


async def test_faults_can_be_armed_from_the_start() -> None:
    config = replace(CONFIG, faults=(Fault("tokens", Kind.UNAVAILABLE),))
    async with (
        running(config) as started,
        httpx.AsyncClient(base_url=started.url) as client,
    ):
        answer = await client.get("/tokens/api/v1/metadata")
        assert answer.status_code == 503


async def test_a_torn_answer_and_a_cut_connection(client: httpx.AsyncClient) -> None:
    for kind in ("truncate", "disconnect"):
        await post(client, "/admin/faults", kind=kind, count=1)
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get("/kraxel/api/prices")
    assert await get(client, "/kraxel/api/prices")


async def test_an_empty_answer_cannot_be_torn(client: httpx.AsyncClient) -> None:
    await post(client, "/admin/faults", kind="truncate", count=1)
    assert (await client.get("/hiro/extended/v1/status")).status_code == 301


async def test_answers_that_make_no_sense(client: httpx.AsyncClient) -> None:
    await post(client, "/admin/faults", upstream="kraxel", kind="wrong-type", count=1)
    wrong = await get(client, "/kraxel/api/prices")
    assert {type(value) for value in wrong.values()} == {dict}
    await post(client, "/admin/faults", upstream="kraxel", kind="malformed", count=1)
    torn = await client.get("/kraxel/api/prices")
    with pytest.raises(json.JSONDecodeError):
        torn.json()


async def test_a_call_can_fail_on_demand(
    client: httpx.AsyncClient, simulator: Simulator
) -> None:
    await post(client, "/admin/faults", upstream="hiro", kind="okay-false")
    assert (await client.get(FAULTY)).status_code == 200
    contract = simulator.stage.world.tokens[0].contract_id
    answer = await call(client, contract, "get-decimals")
    assert answer["okay"] is False
    assert answer["cause"].startswith("Runtime")


async def test_an_upstream_can_lie_about_balances(
    client: httpx.AsyncClient, simulator: Simulator
) -> None:
    user = simulator.stage.world.accounts[0]
    path = balances(user)
    subnet = simulator.stage.world.subnets[0].contract_id
    for amount in ("5", "7"):
        for contract in ("stx", subnet):
            await post(
                client, "/admin/balance", user=user, contractId=contract, amount=amount
            )
    for kind, blocks, amount in (("lagging", 2, "5"), ("emptied", 1, "0")):
        await post(
            client, "/admin/faults", upstream="hiro", kind=kind, blocks=blocks, count=2
        )
        assert (await get(client, path))["stx"]["balance"] == amount
        said = await call(
            client,
            subnet,
            "get-balance",
            clarity.to_hex(clarity.principal(parse_principal(user))),
        )
        assert int(said["result"][-32:], 16) == int(amount)
        assert (await get(client, path))["stx"]["balance"] == "7"


async def test_an_upstream_can_lie_about_prices(client: httpx.AsyncClient) -> None:
    honest = await get(client, "/kraxel/api/prices")
    await post(client, "/admin/faults", upstream="kraxel", kind="inflated", count=1)
    lies = await get(client, "/kraxel/api/prices")
    assert lies == {key: usd * 1_000_000 for key, usd in honest.items()}


async def test_an_answer_can_be_late_or_never_come(client: httpx.AsyncClient) -> None:
    await post(client, "/admin/faults", kind="slow", count=1, delaySeconds=0)
    assert (await client.get(FAULTY)).status_code == 200
    await post(client, "/admin/faults", kind="timeout", count=1)
    with pytest.raises(httpx.ReadTimeout):
        await client.get(FAULTY, timeout=0.05)
    counted = await get(client, "/admin/requests")
    assert counted["upstreams"]["hiro"] == {"/extended": 2}
    assert counted["statuses"]["hiro"] == {"200": 1}


async def test_a_request_that_hangs_ends_with_the_simulator() -> None:
    config = replace(CONFIG, faults=(Fault("*", Kind.TIMEOUT),))
    async with asyncio.TaskGroup() as group, running(config) as started:
        hanging = group.create_task(status_of(f"{started.url}{FAULTY}"))
        async with httpx.AsyncClient(base_url=started.url) as client:
            while (await get(client, "/admin/requests"))["total"] == 0:
                pass
    assert hanging.result() == 504


async def status_of(url: str) -> int:
    async with httpx.AsyncClient() as client:
        return (await client.get(url)).status_code
