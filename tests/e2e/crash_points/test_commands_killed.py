"""The command line killed by its setting: topics half made, clients not yet told."""

import asyncio
import json
from pathlib import Path
from signal import SIGKILL
from typing import Any

import pytest
import websockets
from websockets.asyncio.client import ClientConnection

from app.ports import free_port
from eventlog.port import Partition
from schemas.latest import IDENTITY_KEY
from schemas.topics import LATEST
from tests.support.crash_process import died_at, open_small
from tests.support.logs import Place, read_one
from tests.support.pipeline import TOPICS
from tests.support.processes import LIMIT_S, run, running
from tests.support.serving import CHA, price
from tests.support.system import client, received

pytestmark = [pytest.mark.slow, pytest.mark.timeout(90)]

# In the order in which `topics apply` passes them on a log without an identity.
APPLYING = ("topics-written", "topics-created", "commit-written", "commit-made")


def settings_of(place: Place) -> dict[str, object]:
    if place.kind == "sqlite":
        return {"log": place.address, "partitions": 3}
    return {
        "log": f"kafka://{place.address}",
        "log_prefix": place.prefix,
        "environment": "development",
        "partitions": 3,
    }


async def test_topics_apply_goes_on_wherever_it_died(
    place: Place, tmp_path: Path
) -> None:
    settings = settings_of(place) | {"audit_days": 0}
    async with open_small(place) as log:
        # Half of them are there, as after a request that the broker did in part.
        await log.create(TOPICS[::2])
    for step in APPLYING:
        ended = await run("topics", "apply", cwd=tmp_path, crash_at=step, **settings)
        assert (ended.code, ended.out) == (-SIGKILL, ""), ended
        assert "killed at a step" in ended.err
    ended = await run("topics", "apply", "--json", cwd=tmp_path, **settings)
    assert ended.code == 0, ended
    applied = json.loads(ended.out)
    assert (applied["created"], applied["drift"]) == ([], [])
    async with open_small(place) as log:
        assert len(await log.describe(TOPICS)) == len(TOPICS)
        latest = await read_one(log, Partition(LATEST, 0))
    (identity,) = [record for record in latest if record.key == IDENTITY_KEY]
    assert json.loads(identity.value or b"") == applied["identity"]


async def test_what_an_edge_had_read_and_told_nobody_its_clients_hear_after_it_is_back(
    tmp_path: Path,
) -> None:
    settings = {"port": free_port("127.0.0.1")}
    assert (await run("topics", "apply", cwd=tmp_path)).code == 0
    at = Place("sqlite", str(tmp_path / "data" / "stacks-feed.sqlite"))
    url = f"ws://127.0.0.1:{settings['port']}/parties/prices/main"
    async with open_small(at) as log:
        await price(log, CHA, "1")
        async with running(
            "edge", cwd=tmp_path, crash_at="table-updated:2", **settings
        ) as edge:
            async with client(url) as listener:
                assert await priced(listener) == 1
                await price(log, CHA, "2")
                assert await until_closed(listener) == []
            async with asyncio.timeout(LIMIT_S):
                _, said = await edge.communicate()
            died_at("table-updated:2", edge.returncode, said.decode())
        async with running("edge", cwd=tmp_path, **settings), client(url) as listener:
            assert await priced(listener) == 2


async def priced(listener: ClientConnection) -> Any:
    """Return the price in the greeting, in which there is one."""
    (found,) = (await received(listener, "PRICE_BATCH"))["prices"]
    return found["price"]


async def until_closed(listener: ClientConnection) -> list[str | bytes]:
    """Return what is heard until the connection breaks."""
    heard = []
    async with asyncio.timeout(LIMIT_S):
        try:
            while True:
                heard.append(await listener.recv())
        except websockets.ConnectionClosedError:
            return heard
