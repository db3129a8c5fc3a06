"""`up`: everything runs from one command, survives deaths, and stops when told."""

import asyncio
import json
import os
import signal
import sqlite3
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection

from tests.support.processes import is_alive, until
from tests.support.system import System, client, received, system

pytestmark = [pytest.mark.slow, pytest.mark.timeout(90)]

DEPLOYER = "SP2ZNGJ85ENDY6QRHQ5P2D4FXKGZWCKTB2T0Z55KS"
TOKEN = f"{DEPLOYER}.charisma-token"
SUBNET = f"{DEPLOYER}.charisma-token-subnet-v1"
# What `up` promises for a stop, and what a slow machine adds to a clean exit.
STOP_LIMIT_S = 5 + 5


def prices(running: System) -> str:
    return f"ws://{running.edge}/parties/prices/main"


async def a_price_from_now_on(running: System) -> dict[str, Any]:
    """Return a price that was observed and published after this call."""
    async with client(prices(running)) as connection:
        info = await received(connection, "SERVER_INFO")
        await connection.send('{"type":"SUBSCRIBE"}')
        while True:
            update = await received(connection, "PRICE_UPDATE")
            if update["timestamp"] >= info["timestamp"]:
                return update


async def test_one_command_serves_prices_and_says_how_to_see_them(
    tmp_path: Path,
) -> None:
    async with system(tmp_path) as running:
        for said in (
            "simulated world on mainnet",
            "data/stacks-feed.sqlite",
            "simulator, ingest, processor, edge, audit",
            f"curl 'http://{running.edge}",
            "stacks-feed tail price",
        ):
            assert said in running.first_lines
        async with client(prices(running)) as connection:
            info = await received(connection, "SERVER_INFO")
            assert info["isLocalDev"] is True
            await connection.send('{"type":"SUBSCRIBE","contractIds":[]}')
            update = await received(connection, "PRICE_UPDATE")
            assert update["source"] == "local-dev"
        async with httpx.AsyncClient() as http:
            answer = await http.get(f"http://{running.edge}/parties/prices/main")
        assert len(answer.json()["prices"]) > 30
        assert not readable_by_others(tmp_path / "data")


def readable_by_others(folder: Path) -> list[str]:
    """Return the files and folders that another user of the machine could read."""
    everything = [folder, *folder.rglob("*")]
    return [f"{path}" for path in everything if path.stat().st_mode & 0o077]


async def test_a_subscriber_gets_mainnet_and_subnet_in_one_message(
    tmp_path: Path,
) -> None:
    async with system(tmp_path) as running:
        await a_price_from_now_on(running)
        for contract, amount in ((TOKEN, "7000000"), (SUBNET, "3000000")):
            await running.admin(
                "balance", user=DEPLOYER, contractId=contract, amount=amount
            )
        url = f"ws://{running.edge}/parties/balances/main"
        async with client(url) as connection:
            await connection.send(
                json.dumps({"type": "SUBSCRIBE", "userIds": [DEPLOYER]})
            )
            update = await _with_subnet(connection)
    assert update["formattedBalance"] == 7.0
    assert update["subnetContractId"] == SUBNET
    assert update["metadata"]["symbol"] == "CHA"


async def _with_subnet(connection: ClientConnection) -> dict[str, Any]:
    """Return the first update of the token in which both layers have arrived."""
    async with asyncio.timeout(30):
        async for text in connection:
            message = json.loads(text)
            found = [u for u in message.get("balances", [message]) if _has_both(u)]
            if found:
                return dict(found[0])
    raise AssertionError("the connection ended")


def _has_both(update: dict[str, Any]) -> bool:
    layers = (update.get("balance"), update.get("subnetBalance"))
    return update.get("contractId") == TOKEN and layers == (7_000_000, 3_000_000)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_stops_everything(tmp_path: Path, number: int) -> None:
    async with system(tmp_path) as running:
        await a_price_from_now_on(running)
        assert len(running.living()) == 5
        running.process.send_signal(number)
        async with asyncio.timeout(STOP_LIMIT_S):
            assert await running.process.wait() == 0
        assert running.living() == []
        killed = "service killed: did not stop in time"
        assert running.events(killed) == []
        assert running.events("service failed") == []


async def test_a_child_killed_with_9_is_restarted_and_the_feed_goes_on(
    tmp_path: Path,
) -> None:
    async with system(tmp_path) as running:
        await a_price_from_now_on(running)
        for service in ("simulator", "ingest", "processor", "edge"):
            before = running.pids(service)
            os.kill(before[-1], signal.SIGKILL)
            await until(
                f"{service} is restarted",
                lambda name=service, old=before: running.pids(name) != old,  # type: ignore[misc]
            )
            await a_price_from_now_on(running)
        died = [line["died"] for line in running.events("service died")]
        assert died == ["simulator", "ingest", "processor", "edge"]
        assert running.events("service failed") == []


async def test_when_up_itself_is_killed_with_9_its_children_end(
    tmp_path: Path,
) -> None:
    async with system(tmp_path) as running:
        await a_price_from_now_on(running)
        children = running.living()
        running.process.kill()
        await until("the children end", lambda: not any(map(is_alive, children)))


async def test_what_was_published_is_still_there_after_a_restart(
    tmp_path: Path,
) -> None:
    async with system(tmp_path) as running:
        first = await a_price_from_now_on(running)
    async with system(tmp_path) as running:
        assert "(found, 2 partitions" in running.first_lines
        async with client(prices(running)) as connection:
            batch = await received(connection, "PRICE_BATCH")
        known = {price["contractId"] for price in batch["prices"]}
        assert first["contractId"] in known
    check = sqlite3.connect(tmp_path / "data" / "stacks-feed.sqlite")
    try:
        assert check.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    finally:
        check.close()
