"""The simulator over real sockets: every endpoint, every command of its operator."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from simulator.core import clarity
from simulator.core.c32 import parse_principal
from simulator.server import Simulator, running, serve
from tests.support.shared_data import shared_data
from tests.support.simulator import CONFIG, NOBODY, balances, call, get, post

COLLECTOR = 1


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with running(CONFIG, clock=lambda: 1_700_000_000.0) as started:
        yield started


@pytest.fixture
async def client(simulator: Simulator) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=simulator.url) as opened:
        yield opened


def reference(name: str, request: str) -> Any:
    examples = json.loads(shared_data(name).read_text())["examples"]
    return next(one["body"] for one in examples if one["request"] == request)


async def test_two_simulators_of_one_seed_send_the_same_bytes() -> None:
    paths = [
        balances("{}"),
        "/kraxel/api/prices",
        "/stxtools/tokens?page=0&size=10000",
        "/invest/api/v1/prices?limit=1000",
        "/invest/api/v1/tokens/all?includePricing=true",
        "/tokens/api/v1/metadata",
        "/hiro/extended",
    ]
    bodies: list[list[bytes]] = []
    for _ in range(2):
        async with (
            running(CONFIG, clock=lambda: 1_700_000_000.0) as started,
            httpx.AsyncClient(base_url=started.url) as client,
        ):
            await post(client, "/admin/tick", count=4)
            owner = started.stage.world.accounts[0]
            answers = [await client.get(path.format(owner)) for path in paths]
            bodies.append([answer.content for answer in answers])
    assert bodies[0] == bodies[1]


async def test_status_tells_the_tip_of_the_chain(client: httpx.AsyncClient) -> None:
    before = await get(client, "/hiro/extended")
    await post(client, "/admin/tick")
    after = await get(client, "/hiro/extended")
    assert before["status"] == after["status"] == "ready"
    assert after["chain_tip"]["block_height"] == before["chain_tip"]["block_height"] + 1
    moved = await client.get("/hiro/extended/v1/status")
    assert moved.status_code == 301
    assert await get(client, moved.headers["location"]) == after


async def test_an_account_in_one_body(
    client: httpx.AsyncClient, simulator: Simulator
) -> None:
    owner = simulator.stage.world.accounts[COLLECTOR]
    answer = await client.get(balances(owner), params={"unanchored": "true"})
    wanted = reference(
        "hiro/balance_examples.json",
        "GET /extended/v1/address/{contract principal}/balances",
    )
    body = answer.json()
    assert body.keys() == wanted.keys()
    assert body["stx"].keys() == wanted["stx"].keys()
    assert len(body["fungible_tokens"]) > 100
    assert answer.headers["warning"].startswith("299 - ")
    assert int(answer.headers["ratelimit-remaining"]) < CONFIG.requests_per_minute


async def test_an_unchanged_account_is_304_until_it_changes(
    client: httpx.AsyncClient, simulator: Simulator
) -> None:
    owner = simulator.stage.world.accounts[0]
    first = await client.get(balances(owner))
    known = {"If-None-Match": first.headers["etag"]}
    again = await client.get(balances(owner), headers=known)
    assert (again.status_code, again.content) == (304, b"")
    await post(client, "/admin/balance", user=owner, contractId="stx", amount="12")
    changed = await client.get(balances(owner), headers=known)
    assert changed.status_code == 200
    assert changed.json()["stx"]["balance"] == "12"


async def test_an_unknown_account_is_zeros_without_a_mark(
    client: httpx.AsyncClient,
) -> None:
    for who in (NOBODY, f"{NOBODY}.vault"):
        answer = await client.get(balances(who))
        assert answer.json()["stx"]["balance"] == "0"
        assert answer.json()["fungible_tokens"] == {}
        assert "etag" not in answer.headers


@pytest.mark.parametrize(
    "path",
    [
        balances("SP1"),
        balances(NOBODY) + "?unanchored=true&until_block=5",
        balances(NOBODY) + "?unanchored=perhaps",
        f"/hiro/extended/v2/addresses/{NOBODY}x/balances/stx",
        f"/hiro/extended/v3/principals/{NOBODY}/balances/ft?limit=201",
        f"/hiro/extended/v3/principals/{NOBODY}/balances/ft?cursor=x",
        f"/hiro/extended/v3/principals/{NOBODY}/balances/ft/x",
        "/hiro/metadata/v1/ft?limit=61",
    ],
)
async def test_a_bad_request_is_400_in_the_shape_of_today(
    client: httpx.AsyncClient, path: str
) -> None:
    answer = await client.get(path)
    assert answer.status_code == 400
    assert answer.json().keys() == {"statusCode", "error", "message"}


async def test_an_unknown_route_is_404(client: httpx.AsyncClient) -> None:
    answer = await client.get("/hiro/extended/v4/luck")
    assert answer.status_code == 404
    assert answer.json()["statusCode"] == 404


async def test_the_old_generation_has_the_old_errors() -> None:
    async with (
        running(replace(CONFIG, error_style="v7")) as started,
        httpx.AsyncClient(base_url=started.url) as client,
    ):
        answer = await client.get(balances("SP1"))
        assert answer.status_code == 400
        assert answer.json() == {"error": 'invalid STX address "SP1"'}


async def test_generations_agree_on_an_account(
    client: httpx.AsyncClient, simulator: Simulator
) -> None:
    owner = simulator.stage.world.accounts[COLLECTOR]
    first = await get(client, balances(owner))
    held = {
        asset: row["balance"]
        for asset, row in first["fungible_tokens"].items()
        if row["balance"] != "0"
    }
    second = f"/hiro/extended/v2/addresses/{owner}/balances"
    third = f"/hiro/extended/v3/principals/{owner}/balances"
    pages = [await get(client, f"{second}/ft?limit=100&offset={at}") for at in (0, 100)]
    assert {
        row["token"]: row["balance"] for page in pages for row in page["results"]
    } == held
    assert await read_all(client, f"{third}/ft") == held
    stx = [await get(client, f"{base}/stx") for base in (second, third)]
    assert {body["balance"] for body in stx} == {first["stx"]["balance"]}
    with_mempool = await get(client, f"{second}/stx?include_mempool=true")
    assert with_mempool["estimated_balance"] == first["stx"]["balance"]
    asset = next(iter(held))
    for base in (second, third):
        one = await get(client, f"{base}/ft/{quote(asset, safe='')}")
        assert one["balance"] == held[asset]


async def read_all(client: httpx.AsyncClient, path: str) -> dict[str, str]:
    read: dict[str, str] = {}
    cursor: str | None = None
    while True:
        params = {} if cursor is None else {"cursor": cursor}
        page = (await client.get(path, params=params)).json()
        for row in page["results"]:
            read[row["asset_identifier"]] = row["balance"]
        cursor = page["cursor"]["next"]
        if cursor is None:
            assert len(read) == page["total"]
            return read


async def test_a_subnet_balance_is_read_by_a_call(
    client: httpx.AsyncClient, simulator: Simulator
) -> None:
    world = simulator.stage.world
    owner = world.accounts[0]
    who = clarity.to_hex(clarity.principal(parse_principal(owner)))
    for bare, prefix in ((True, "0x01"), (False, "0x0701")):
        token = next(token for token in world.subnets if token.bare is bare)
        await post(
            client,
            "/admin/balance",
            user=owner,
            contractId=token.contract_id,
            amount=9,
        )
        answer = await call(client, token.contract_id, "get-balance", who)
        assert answer == {"okay": True, "result": prefix + f"{9:032x}"}
    answer = await call(client, f"{NOBODY}.none", "get-balance", who)
    assert answer["okay"] is False


async def test_a_call_that_the_node_cannot_take_is_plain_text(
    client: httpx.AsyncClient, simulator: Simulator
) -> None:
    contract = simulator.stage.world.tokens[0].contract_id.replace(".", "/")
    path = f"/hiro/v2/contracts/call-read/{contract}/get-decimals"
    good = json.dumps({"sender": NOBODY, "arguments": []})
    typed = {"Content-Type": "application/json"}
    untyped = await client.post(path, content=good)
    torn = await client.post(path, content="{", headers=typed)
    lost = await client.post(f"{path}?tip={'0' * 64}", content=good, headers=typed)
    assert [untyped.status_code, torn.status_code, lost.status_code] == [400, 400, 404]
    assert all("text/plain" in one.headers["content-type"] for one in (untyped, torn))
    tip = (await get(client, "/hiro/extended"))["chain_tip"]["index_block_hash"]
    for query in (tip.removeprefix("0x"), "latest", "whatever"):
        answer = await client.post(f"{path}?tip={query}", content=good, headers=typed)
        assert answer.json()["okay"] is True


async def test_token_metadata(client: httpx.AsyncClient, simulator: Simulator) -> None:
    world = simulator.stage.world
    page = await get(client, "/hiro/metadata/v1/ft?limit=60&offset=60")
    assert len(page["results"]) == page["limit"] == 60
    shown = page["results"][0]
    one = await get(client, f"/hiro/metadata/v1/ft/{shown['contract_principal']}")
    assert one.items() <= shown.items()
    missing = await client.get(f"/hiro/metadata/v1/ft/{world.subnets[0].contract_id}")
    assert (missing.status_code, missing.json()) == (
        404,
        {"error": "Contract not found"},
    )
    pending = next(token for token in world.tokens if token.metadata_pending)
    wait = await client.get(f"/hiro/metadata/v1/ft/{pending.contract_id}")
    assert wait.status_code == 422


async def test_price_sources_and_a_pinned_price(client: httpx.AsyncClient) -> None:
    await post(client, "/admin/price", contractId="stx", usd=2.5)
    kraxel = await get(client, "/kraxel/api/prices")
    assert kraxel["stx"] == 2.5
    stxtools = await get(client, "/stxtools/tokens?page=0&size=10000")
    assert stxtools["data"][0]["metrics"]["price_usd"] == 2.5
    for path in ("prices?limit=1000", "tokens/all?includePricing=true"):
        invest = await get(client, f"/invest/api/v1/{path}")
        key = "tokenId" if path.startswith("prices") else "contractId"
        assert {row[key]: row.get("usdPrice") for row in invest["data"]}[".stx"] == 2.5
    await post(client, "/admin/price", contractId="stx", usd=None)
    assert (await get(client, "/kraxel/api/prices"))["stx"] != 2.5


async def test_prices_move_with_each_tick(client: httpx.AsyncClient) -> None:
    before = await get(client, "/kraxel/api/prices")
    await post(client, "/admin/tick")
    after = await get(client, "/kraxel/api/prices")
    assert before.keys() == after.keys()
    assert before != after


async def test_the_registry(client: httpx.AsyncClient, simulator: Simulator) -> None:
    records = await get(client, "/tokens/api/v1/metadata")
    assert sum(record["type"] == "SUBNET" for record in records) == 10
    assert await get(client, "/tokens/api/v1/sip10") == records
    wanted = simulator.stage.world.subnets[0].contract_id
    one = await get(client, f"/tokens/api/v1/sip10/{wanted}")
    assert one["status"] == "success"
    assert one["data"] in records
    page = await get(client, "/tokens/api/v1/sip10-paginated?page=2&limit=50")
    assert page["tokens"] == records[50:100]
    missing = await client.get("/tokens/api/v1/sip10/SP1.none")
    assert missing.status_code == 404


async def test_the_operator_sees_the_world(client: httpx.AsyncClient) -> None:
    await post(client, "/admin/tick", count=3)
    shown = await get(client, "/admin/world?accounts=5")
    assert (shown["tick"], shown["accountsTotal"]) == (3, 100)
    assert len(shown["tokens"]) == 200
    assert len(shown["accounts"]) == 5


async def test_a_reorg_takes_a_balance_back_until_the_next_tick(
    client: httpx.AsyncClient, simulator: Simulator
) -> None:
    owner = NOBODY

    async def stx() -> str:
        return str((await get(client, balances(owner)))["stx"]["balance"])

    seen = [await stx()]
    await post(client, "/admin/balance", user=owner, contractId="stx", amount="2000")
    seen.append(await stx())
    taken = await post(client, "/admin/reorg", depth=1)
    seen.append(await stx())
    await post(client, "/admin/tick")
    seen.append(await stx())
    assert seen == ["0", "2000", "0", "2000"]
    assert taken["accounts"] == [owner]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/admin/tick", {"count": 0}),
        ("/admin/price", {"contractId": "none", "usd": 1}),
        ("/admin/balance", {"user": NOBODY, "contractId": "none", "amount": 1}),
        ("/admin/reorg", {"depth": "deep"}),
        ("/admin/faults", {"kind": "flood"}),
    ],
)
async def test_a_command_that_makes_no_sense_is_400(
    client: httpx.AsyncClient, path: str, body: dict[str, object]
) -> None:
    answer = await client.post(path, json=body)
    assert answer.status_code == 400
    assert "error" in answer.json()


async def test_requests_are_counted_by_upstream_and_pattern(
    client: httpx.AsyncClient,
) -> None:
    for who in (NOBODY, f"{NOBODY}.a", "SP1"):
        await client.get(balances(who))
    await client.get("/kraxel/api/prices")
    counted = await get(client, "/admin/requests")
    pattern = "/extended/v1/address/{principal}/balances"
    assert counted["total"] == 4
    assert counted["upstreams"] == {
        "hiro": {pattern: 3},
        "kraxel": {"/api/prices": 1},
    }
    assert counted["statuses"]["hiro"] == {"200": 2, "400": 1}
    await client.delete("/admin/requests")
    assert (await get(client, "/admin/requests"))["total"] == 0


async def test_an_enforced_limit_refuses_what_is_beyond_it() -> None:
    config = replace(CONFIG, requests_per_minute=2, enforce_limit=True)
    async with (
        running(config, clock=lambda: 130.0) as started,
        httpx.AsyncClient(base_url=started.url) as client,
    ):
        answers = [await client.get("/hiro/extended") for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert answers[2].headers["retry-after"] == "50"
        assert answers[2].headers["ratelimit-remaining"] == "0"


async def test_what_goes_wrong_beside_it_is_raised_as_it_was() -> None:
    with pytest.raises(ZeroDivisionError):
        async with running(CONFIG):
            raise ZeroDivisionError


class Heard(logging.Handler):
    """Sets an event at the first line that is logged."""

    def __init__(self, event: asyncio.Event) -> None:
        super().__init__()
        self._event = event

    def emit(self, record: logging.LogRecord) -> None:
        self._event.set()


async def test_serving_ends_cleanly_when_cancelled(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, logger="simulator")
    started = asyncio.Event()
    heard = Heard(started)
    logging.getLogger("simulator").addHandler(heard)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(serve(replace(CONFIG, faults=())))
        await started.wait()
        url = caplog.records[-1].__dict__["url"]
        async with httpx.AsyncClient(base_url=url) as client:
            assert (await client.get("/hiro/extended")).status_code == 200
        task.cancel()
    assert task.cancelled()
    logging.getLogger("simulator").removeHandler(heard)
    async with httpx.AsyncClient() as client:
        with pytest.raises(httpx.ConnectError):
            await client.get(url)
