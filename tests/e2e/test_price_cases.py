"""Known cases of price aggregation, from the answers of upstreams to what clients see.

Each case tells what the sources and the registry answer, and what the original service
made of it. What must come of it stands in a table here, with a reason for each price that
was another there.
"""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from websockets.asyncio.client import ClientConnection, connect

from edge.service import running
from eventlog.partition import partition_of
from ingest.service import run as ingest
from processor.config import ProcessorConfig
from processor.service import run as processor
from runtime.clock import SystemClock
from schemas.log import World
from tests.support.ingesting import config_for, no_jitter, upstream
from tests.support.serving import LONG_S, PARTITIONS, a_log, config_of, identity
from tests.support.shared_data import shared_data

Prices = dict[str, Decimal]
Case = dict[str, Any]

_CHARISMA = "SP2ZNGJ85ENDY6QRHQ5P2D4FXKGZWCKTB2T0Z55KS"
CHA = f"{_CHARISMA}.charisma-token"
CHA_SUBNET = f"{_CHARISMA}.charisma-token-subnet-v1"
SUBNET_OF_SUBNET = f"{_CHARISMA}.sub2"
WELSH = "SP3NE50GEXFG9SZGTT51P40X2CKYSZ5CC4ZTZ7A2G.welshcorgicoin-token"
WELSH_SUBNET = f"{_CHARISMA}.welsh-token-subnet-v1"
SBTC = "SM3VDXK3WZZSA84XXFKAFAF15NNZX32CTSG82JFQ4.sbtc-token"
LEO = "SP1AY6K3PQV5MRT6R4S671NWW2FRVPKM0BR162CT6.leo-token"
PEPE = "SP1Z92MPDQEWZXW36VX71Q25HKF5K2EPCJ304F275.tokensoft-token-v4k68639zxz"
STX = (".stx", "stx")


# ---- what must come of each case


@dataclass(frozen=True)
class Expected:
    """The whole table that clients see, and why which prices were others there.

    ``either`` are the tokens of which two sources say different prices: the one that is
    heard first is published, and stays. The original took one of both, or their mean.
    """

    prices: Prices
    differs: Mapping[str, str] = field(default_factory=dict)
    either: Mapping[str, tuple[Decimal, Decimal]] = field(default_factory=dict)


def usd(text: str, *ids: str) -> Prices:
    return dict.fromkeys(ids, Decimal(text))


def one_of(first: str, second: str, *ids: str) -> dict[str, tuple[Decimal, Decimal]]:
    return dict.fromkeys(ids, (Decimal(first), Decimal(second)))


def because(why: str, *ids: str) -> dict[str, str]:
    return dict.fromkeys(ids, why)


# Kraxel, stxtools and internal say 0.45, 0.46 and 0.4684… of CHA, 0.61, 0.62 and 0.64 of
# STX; of sBTC the last two 99000.5 and 99095.63333333335.
_ALL_THREE = (
    usd("0.46", CHA, CHA_SUBNET)
    | usd("0.62", *STX)
    | usd("0.00041", WELSH, WELSH_SUBNET)
    | usd("0.00002", LEO, PEPE)
)
_SBTC = one_of("99000.5", "99095.63333333335", SBTC)
_INTERNAL = "internal's price was taken there"
_KRAXEL = "kraxel's price was taken there"
_MEAN = "the mean of all was taken there"
_AS_ZERO = "null counted as 0 there"

EXPECTED: Mapping[str, Expected] = {
    "all three sources, average": Expected(
        _ALL_THREE,
        because(_MEAN, CHA, CHA_SUBNET, "stx")
        | because("kraxel's `stx` was another token there", ".stx"),
        either=_SBTC,
    ),
    "all three sources, fallback": Expected(
        _ALL_THREE, because(_INTERNAL, CHA, CHA_SUBNET, *STX), either=_SBTC
    ),
    "all three sources, internal-primary": Expected(
        _ALL_THREE, because(_INTERNAL, CHA, CHA_SUBNET, *STX), either=_SBTC
    ),
    "all three sources, kraxel-primary": Expected(
        _ALL_THREE,
        because(_KRAXEL, CHA, CHA_SUBNET, "stx") | because(_INTERNAL, ".stx"),
        either=_SBTC,
    ),
    # What stxtools says is the median of three.
    "all three sources, stxtools-primary": Expected(_ALL_THREE, either=_SBTC),
    "default: average of stxtools+internal": Expected(
        usd("0.00041", WELSH, WELSH_SUBNET) | usd("0.00002", LEO),
        either=one_of("0.46", "0.46840046942724306", CHA, CHA_SUBNET)
        | one_of("0.62", "0.64", *STX)
        | _SBTC,
    ),
    "one source failed": Expected(
        usd("0.46840046942724306", CHA, CHA_SUBNET)
        | usd("0.64", *STX)
        | usd("99095.63333333335", SBTC)
        | usd("0.00002", LEO)
    ),
    "both failed": Expected({}),
    "kraxel only, has stx but not .stx": Expected(
        usd("0.61", *STX) | usd("0.45", CHA, CHA_SUBNET)
    ),
    "kraxel only, has .stx but not stx": Expected(
        usd("0.61", *STX), because("`.stx` was not sent as `stx` there", "stx")
    ),
    "stxtools STX with null price": Expected({}, because(_AS_ZERO, *STX)),
    "stxtools STX with null price averaged with internal": Expected(
        usd("0.64", *STX), because(_AS_ZERO, *STX)
    ),
    "token that calls itself STX": Expected(
        usd("0.64", *STX), because("the symbol told which token it is there", *STX)
    ),
    "subnet has its own price": Expected(usd("0.5", CHA, CHA_SUBNET)),
    "subnet without a base price": Expected({}),
    "subnet of a subnet, listed in good order": Expected(
        usd("0.5", CHA, CHA_SUBNET, SUBNET_OF_SUBNET)
    ),
    "subnet of a subnet, listed in bad order": Expected(
        usd("0.5", CHA, CHA_SUBNET, SUBNET_OF_SUBNET),
        because("the order of the registry decided there", SUBNET_OF_SUBNET),
    ),
    "confidence exactly 0.1": Expected({}),
    # Two sources that have never agreed: nothing tells which of them is right.
    "outlier": Expected({}, either=one_of("0.46", "46000", CHA, CHA_SUBNET)),
}


# ---- the end of a case, for everyone to see


@dataclass(frozen=True)
class End:
    """A token that one source names last, and a subnet token of it in the registry.

    Both stand in one partition. Once the subnet token has a price, all that the source
    and the registry said before has been through this partition.
    """

    base: str
    subnet: str


def _standing_in(partition: int, name: str) -> str:
    for number in itertools.count():
        found = f"{_CHARISMA}.{name}-{number}"
        if partition_of(found.encode(), PARTITIONS) == partition:
            return found
    raise AssertionError


ENDS: Mapping[str, tuple[End, ...]] = {
    source: tuple(
        End(
            _standing_in(partition, f"end-{source}"),
            _standing_in(partition, f"end-{source}-subnet"),
        )
        for partition in range(PARTITIONS)
    )
    for source in ("kraxel", "stxtools", "internal")
}


def ending(source: str) -> Any:
    """Return an answer of a source that names nothing but the tokens of the end."""
    ids = [end.base for end in ENDS[source]]
    match source:
        case "kraxel":
            return dict.fromkeys(ids, 1)
        case "stxtools":
            metrics = {"price_usd": 1}
            return {"data": [{"contract_id": i, "metrics": metrics} for i in ids]}
        case _:
            rows = [{"tokenId": i, "usdPrice": 1, "confidence": 1} for i in ids]
            return {"status": "success", "data": rows}


# ---- the upstreams


class Stub:
    """Every upstream: says what the case says when first asked, then what ends it."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self.sources = tuple(name for name in ENDS if case[name]["enabled"])
        self._asked: set[str] = set()
        self.all_asked = asyncio.Event()

    def application(self) -> web.Application:
        app = web.Application()
        app.add_routes(
            [
                web.get("/kraxel/api/prices", self._kraxel),
                web.get("/stxtools/tokens", self._stxtools),
                web.get("/invest/api/v1/prices", self._internal),
                web.get("/tokens/api/v1/metadata", self._registry),
                web.get("/hiro/metadata/v1/ft", self._no_metadata),
            ]
        )
        return app

    async def _kraxel(self, request: web.Request) -> web.Response:
        return self._prices("kraxel")

    async def _stxtools(self, request: web.Request) -> web.Response:
        return self._prices("stxtools")

    async def _internal(self, request: web.Request) -> web.Response:
        return self._prices("internal")

    def _prices(self, source: str) -> web.Response:
        if source in self._asked:
            return web.json_response(ending(source))
        self._asked.add(source)
        if self._asked == set(self.sources):
            self.all_asked.set()
        said = self._case[source]
        status = 500 if said["failed"] else 200
        return web.json_response(said["body"], status=status)

    async def _registry(self, request: web.Request) -> web.Response:
        ends = [
            {"contractId": end.subnet, "type": "SUBNET", "base": end.base}
            for end in itertools.chain(*ENDS.values())
        ]
        rest = {"name": "Token", "symbol": "TOK", "decimals": 6}
        return web.json_response([rest | one for one in [*self._case["tokens"], *ends]])

    async def _no_metadata(self, request: web.Request) -> web.Response:
        return web.json_response({"limit": 60, "offset": 0, "total": 0, "results": []})


# ---- the system


@asynccontextmanager
async def system(folder: Path, stub: Stub) -> AsyncIterator[str]:
    """Run ingest, processor and edge on a fresh log; give host and port of the edge."""
    clock = SystemClock()
    async with a_log(folder) as log, TestServer(stub.application()) as server:
        url = str(server.make_url("")).rstrip("/")
        once = {
            name: upstream(f"{url}/{name}", attempts=1)
            for name in ("hiro", "kraxel", "stxtools", "invest", "tokens")
        }
        reading = config_for(url, price_sources=stub.sources, **once)
        await identity(log, World.LIVE, has_processor=True)
        opened = running(
            log, config_of(), partitions=PARTITIONS, clock=clock, draw=no_jitter
        )
        async with opened as edge, asyncio.TaskGroup() as group:
            await edge.caught_up.wait()
            services = [
                ingest(
                    log, reading, partitions=PARTITIONS, clock=clock, draw=no_jitter
                ),
                processor(log, ProcessorConfig("one"), clock),
            ]
            tasks = [group.create_task(service) for service in services]
            yield f"127.0.0.1:{edge.port}"
            for task in tasks:
                task.cancel()


def exact(text: str | bytes) -> Any:
    return json.loads(text, parse_float=Decimal, parse_int=Decimal)


def by_id(updates: Iterable[Any]) -> dict[str, Decimal]:
    return {update["contractId"]: update["price"] for update in updates}


def told_in(message: Any) -> dict[str, Decimal]:
    match message["type"]:
        case "PRICE_BATCH":
            return by_id(message["prices"])
        case "PRICE_UPDATE":
            return by_id([message])
        case kind:
            assert kind == "SERVER_INFO"
            return {}


async def hear(connection: ClientConnection, *, until: set[str]) -> Prices:
    """Return the last price of each token, heard until all of some were named.

    What the edge learned at once it tells in an order of its own: the last it tells
    stands before the answer to a ping.
    """
    table: dict[str, Decimal] = {}
    while not until <= table.keys():
        table |= told_in(exact(await connection.recv()))
    await connection.send(json.dumps({"type": "PING"}))
    while (message := exact(await connection.recv())) != {"type": "PONG"}:
        table |= told_in(message)
    return table


async def tables(folder: Path, case: Case) -> dict[str, Prices]:
    """Return the table as it is told in updates, to who connects late, and over HTTP."""
    stub = Stub(case)
    ends = [end for source in stub.sources for end in ENDS[source]]
    last = {end.subnet for end in ends} | {end.base for end in ends}
    async with (
        asyncio.timeout(LONG_S),
        system(folder, stub) as host,
        httpx.AsyncClient(base_url=f"http://{host}/parties/prices/") as http,
        connect(f"ws://{host}/parties/prices/main") as early,
    ):
        await early.send(json.dumps({"type": "SUBSCRIBE", "contractIds": []}))
        await stub.all_asked.wait()
        # Has every source read once more, which ends the case.
        (await http.post("main")).raise_for_status()
        told = {"updates": await hear(early, until=last)}
        async with connect(f"ws://{host}/parties/prices/main") as late:
            told["batch"] = await hear(late, until=last)
        answer = await http.get("main")
        told["http"] = by_id(exact(answer.content)["prices"])
    return {how: _without(last, table) for how, table in told.items()}


def _without(last: set[str], table: Prices) -> Prices:
    assert {table[each] for each in last} == {1}
    return {each: price for each, price in table.items() if each not in last}


# ---- the cases


def the_cases() -> dict[str, Case]:
    text = shared_data("charisma/price_aggregation_cases.json").read_text()
    return {case["name"]: case for case in json.loads(text)["cases"]}


def test_every_case_has_its_expected_prices() -> None:
    assert the_cases().keys() == EXPECTED.keys()


@pytest.mark.parametrize("name", EXPECTED)
async def test_clients_see_the_prices_of_a_case(tmp_path: Path, name: str) -> None:
    expected = EXPECTED[name]
    told = await tables(tmp_path, the_cases()[name])
    first = {each: told["http"].get(each) for each in expected.either}
    assert all(first[each] in prices for each, prices in expected.either.items())
    for how in ("updates", "batch", "http"):
        assert told[how] == {**expected.prices, **first}, how


@pytest.mark.parametrize("name", EXPECTED)
def test_prices_are_those_of_the_original_but_for_a_reason(name: str) -> None:
    expected, there = EXPECTED[name], the_cases()[name]["expected_seed_result"]
    ours = {each: float(price) for each, price in expected.prices.items()}
    for each, prices in expected.either.items():
        assert min(prices) <= Decimal(there[each]) <= max(prices)
    apart = expected.differs.keys() | expected.either.keys()
    same = (ours.keys() | there.keys()) - apart
    agreed = {each: there[each] for each in same if each in there}
    found = {each: ours[each] for each in same if each in ours}
    assert found == pytest.approx(agreed, rel=1e-12)
    for each in expected.differs:
        assert ours.get(each) != pytest.approx(there.get(each)), each
