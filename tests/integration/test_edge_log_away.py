"""The edge while the log is away: before it is ready, and after."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from edge.service import running
from schemas.ids import STX
from schemas.log import World
from tests.support.clock import ManualClock
from tests.support.cut_log import CutLog
from tests.support.serving import (
    ANNE,
    CHA,
    LONG_S,
    NOW_MS,
    PARTITIONS,
    Serving,
    a_log,
    config_of,
    demanded,
    identity,
    price,
    serving_from,
    two_prices,
    update_of,
)

PRICES, BALANCES = "/parties/prices/main", "/parties/balances/main"


@asynccontextmanager
async def over_a_cut_log(folder: Path) -> AsyncIterator[tuple[Serving, CutLog]]:
    async with a_log(folder) as log:
        await identity(log, World.SIMULATED)
        await two_prices(log)
        cut = CutLog(log)
        async with serving_from(cut.log) as edge:
            yield Serving(log, edge.edge, edge.clock), cut


async def until_it_failed(cut: CutLog) -> None:
    async with asyncio.timeout(LONG_S):
        await cut.failed.wait()


async def test_until_the_table_is_read_nobody_is_served(tmp_path: Path) -> None:
    async with a_log(tmp_path) as log, httpx.AsyncClient() as http:
        await identity(log, World.SIMULATED)
        await two_prices(log)
        cut, clock = CutLog(log), ManualClock(NOW_MS)
        cut.is_cut = True
        opened = running(cut.log, config_of(), partitions=PARTITIONS, clock=clock)
        async with opened as edge:
            await until_it_failed(cut)
            host = f"127.0.0.1:{edge.port}"
            await _is_refused(http, host)
            cut.is_cut = False
            # The follower sleeps until it tries again; the pings do until they begin.
            await clock.until_asleep(2)
            await clock.advance(1)
            async with asyncio.timeout(LONG_S):
                await edge.caught_up.wait()
            assert (await http.get(f"http://{host}{PRICES}")).status_code == 200


async def _is_refused(http: httpx.AsyncClient, host: str) -> None:
    live = await http.get(f"http://{host}/health/live")
    assert live.status_code == 200
    ready = await http.get(f"http://{host}/health/ready")
    assert (ready.status_code, ready.json()["ready"]) == (503, False)
    assert "not read yet" in ready.json()["reasons"][0]
    for method in ("GET", "POST", "HEAD"):
        answer = await http.request(method, f"http://{host}{PRICES}")
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "1"
    with pytest.raises(InvalidStatus, match="503"):
        await connect(f"ws://{host}{PRICES}")


async def test_the_table_is_served_on_and_what_was_missed_is_sent(
    tmp_path: Path,
) -> None:
    async with (
        over_a_cut_log(tmp_path) as (serving, cut),
        serving.listener(PRICES) as listener,
        serving.http() as http,
    ):
        await listener.asks("SUBSCRIBE", contractIds=[CHA])
        cut.is_cut = True
        await until_it_failed(cut)
        await price(serving.log, CHA, "0.5")
        heard = await listener.asks("SUBSCRIBE", contractIds=[STX])
        assert heard == [update_of(STX, 0.63)]
        assert (await http.get("/health/ready")).status_code == 200
        cut.is_cut = False
        await serving.clock.until_asleep(2)
        await serving.clock.advance(1)
        assert await listener.next() == update_of(CHA, 0.5)


async def test_demand_is_written_when_the_log_is_back(tmp_path: Path) -> None:
    async with (
        over_a_cut_log(tmp_path) as (serving, cut),
        serving.listener(BALANCES) as listener,
    ):
        cut.is_cut = True
        await listener.asks("SUBSCRIBE", userIds=[ANNE])
        await listener.asks("MANUAL_UPDATE")
        # The follower, the pings, and now the writer of demand.
        await serving.clock.until_asleep(3)
        assert await demanded(serving.log) == []
        cut.is_cut = False
        await serving.clock.advance(1)
        written = dict(await demanded(serving.log))
        while len(written) < 2:
            await serving.taken_in()
            written = dict(await demanded(serving.log))
        assert written.keys() == {f"{ANNE}|e1", "refresh:balances"}
