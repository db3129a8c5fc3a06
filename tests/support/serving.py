"""An edge on a real socket over a log of its own: how its tests feed and hear it."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
from websockets.asyncio.client import ClientConnection, connect

from edge.config import EdgeConfig
from edge.service import Edge, running
from eventlog.partition import partition_of
from eventlog.port import Cleanup, Entry, EventLog, Partition, TopicSpec
from eventlog.sqlite import SqliteConfig, open_sqlite
from runtime.clock import SystemClock
from runtime.health import Health
from schemas.balances import Balance, MainnetPart, SubnetPart
from schemas.base import encode
from schemas.ids import STX, ContractId, Network, UserId
from schemas.latest import (
    IDENTITY_KEY,
    balance_key,
    price_key,
    terms_key,
    token_key,
)
from schemas.log import LogIdentity, Term, Terms, World
from schemas.prices import Market, Price
from schemas.tokens import Token, TokenFields
from schemas.topics import DEMAND, LATEST, TOPICS, partition_key
from tests.support.clock import ManualClock
from tests.support.logs import read_all

PARTITIONS = 2
NOW_MS = 1_700_000_000_000
SEEN_MS = 1_699_999_999_000  # when the values in the table were observed
LONG_S = 20.0  # how long a test waits for what must come; never how long it takes

ANNE = UserId("SP2ZNGJ85ENDY6QRHQ5P2D4FXKGZWCKTB2T0Z55KS")
BOB = UserId("SP3NE50GEXFG9SZGTT51P40X2CKYSZ5CC4ZTZ7A2G")
CHA = ContractId(f"{ANNE}.charisma-token")
CHA_SUBNET = ContractId(f"{ANNE}.charisma-token-subnet-v1")
WELSH = ContractId(f"{BOB}.welshcorgicoin-token")

Message = dict[str, Any]


def _marker(partition: int) -> ContractId:
    """Return a token that stands in ``partition``."""
    for number in itertools.count():
        found = f"{BOB}.marker-{number}"
        if partition_of(found.encode(), PARTITIONS) == partition:
            return ContractId(found)
    raise AssertionError


MARKERS = tuple(_marker(partition) for partition in range(PARTITIONS))


class StallingClock(ManualClock):
    """A clock by which our own loop can stand still, and turns of it last long."""

    def __init__(self, now_ms: int) -> None:
        super().__init__(now_ms)
        self.turn_taken = asyncio.Event()
        self._turns: asyncio.Event | None = None

    def stand_still(self, seconds: float) -> None:
        """Let time pass that nobody notices: whoever sleeps will wake too late."""
        self._elapsed_s += seconds

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0 and self._turns is not None:
            self.turn_taken.set()
            await self._turns.wait()
        await super().sleep(seconds)

    @contextmanager
    def without_turns(self) -> Iterator[None]:
        """Let whoever gives others a turn wait for the end of the block."""
        self._turns = asyncio.Event()
        self.turn_taken.clear()
        try:
            yield
        finally:
            self._turns.set()
            self._turns = None


@dataclass
class Listener:
    """A client that hears every message in order."""

    connection: ClientConnection
    _pings: "itertools.count[int]" = field(default_factory=itertools.count)

    async def send(self, kind: str, **fields: Any) -> None:
        await self.connection.send(json.dumps({"type": kind, **fields}))

    async def next(self) -> Message:
        async with asyncio.timeout(LONG_S):
            message: Message = json.loads(await self.connection.recv())
        return message

    async def until_now(self) -> list[Message]:
        """Return what was sent before the edge handles what we say now."""
        mark = f"now {next(self._pings)}"
        await self.send("PING", timestamp=mark)
        heard = []
        while (message := await self.next()).get("timestamp") != mark:
            heard.append(message)
        return heard

    async def asks(self, kind: str, **fields: Any) -> list[Message]:
        """Send a message and return what was heard up to its being handled."""
        await self.send(kind, **fields)
        return await self.until_now()

    async def closed(self) -> tuple[int | None, str | None]:
        """Wait for the end; return close code and reason."""
        async with asyncio.timeout(LONG_S):
            await self.connection.wait_closed()
        return self.connection.close_code, self.connection.close_reason


@dataclass
class Serving:
    """A running edge, the log it reads and the clock it goes by."""

    log: EventLog
    edge: Edge
    clock: StallingClock
    _rounds: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.edge.port}"

    @asynccontextmanager
    async def listener(
        self,
        path: str = "/parties/prices/main",
        *,
        greeting: list[Message] | None = None,
    ) -> AsyncIterator[Listener]:
        """Connect as a client; what it is greeted with is put into ``greeting``."""
        # Without a bound on what was not yet heard it also ends without being heard.
        url = f"ws://{self.host}{path}"
        async with connect(url, max_queue=None) as connection:
            listener = Listener(connection)
            heard = await listener.until_now()
            if greeting is not None:
                greeting += heard
            yield listener

    @asynccontextmanager
    async def http(self) -> AsyncIterator[httpx.AsyncClient]:
        base = f"http://{self.host}"
        async with httpx.AsyncClient(base_url=base, timeout=LONG_S) as client:
            yield client

    async def taken_in(self) -> None:
        """Return when everything published so far has been sent to whom it concerns."""
        usd = f"{next(self._rounds)}"
        async with self.listener() as listener:
            await listener.asks("SUBSCRIBE", contractIds=list(MARKERS))
            for marker in MARKERS:
                await price(self.log, marker, usd)
            missing = set(MARKERS)
            while missing:
                update = await listener.next()
                if f"{update['price']}" == usd:
                    missing.discard(update["contractId"])


@asynccontextmanager
async def a_log(folder: Path) -> AsyncIterator[EventLog]:
    """A fresh log with all topics."""
    clock = SystemClock()
    config = SqliteConfig(folder / "log.sqlite", now_ms=clock.now_ms)
    async with open_sqlite(config) as log:
        keep = Cleanup(compact=False, retention_ms=None)
        await log.create([TopicSpec(t.name, PARTITIONS, keep) for t in TOPICS])
        yield log


def config_of(**settings: Any) -> EdgeConfig:
    return replace(EdgeConfig("e1", port=0, origins=("*",)), **settings)


@asynccontextmanager
async def serving(
    folder: Path,
    *,
    before: Callable[[EventLog], Any] | None = None,
    world: World = World.SIMULATED,
    **settings: Any,
) -> AsyncIterator[Serving]:
    """Run an edge over a log in which ``before`` wrote what stood there at the start."""
    async with a_log(folder) as log:
        await identity(log, world)
        if before is not None:
            await before(log)
        async with serving_from(log, **settings) as found:
            yield found


@asynccontextmanager
async def serving_from(
    log: EventLog,
    *,
    drawn: float = 0.0,
    health: Health | None = None,
    **settings: Any,
) -> AsyncIterator[Serving]:
    """Run an edge over a log and wait until it has read the table.

    ``drawn`` is what it draws whenever it leaves something to chance.
    """
    clock = StallingClock(NOW_MS)
    opened = running(
        log,
        config_of(**settings),
        partitions=PARTITIONS,
        clock=clock,
        draw=lambda: drawn,
        health=health,
    )
    async with opened as edge:
        async with asyncio.timeout(LONG_S):
            await edge.caught_up.wait()
        yield Serving(log, edge, clock)


async def put(log: EventLog, topic: str, key: bytes, value: bytes | None) -> None:
    place = partition_of(partition_key(key), PARTITIONS)
    await log.append(topic, [(place, Entry(key, value))])


async def identity(log: EventLog, world: World, *, has_processor: bool = False) -> None:
    """Write the log's identity, and begin terms unless a processor will begin its own."""
    said = LogIdentity(
        id="0" * 32,
        network=Network.MAINNET,
        world=world,
        partitions=PARTITIONS,
        created_at=0,
    )
    await put(log, LATEST, IDENTITY_KEY, encode(said))
    for shard in () if has_processor else range(PARTITIONS):
        await begin_term(log, shard)


async def begin_term(log: EventLog, shard: int, *earlier: Term) -> Term:
    """Begin a term at the end of a shard, as its owner does; return it."""
    at = Partition(LATEST, shard)
    start = (await log.ends([at]))[at]
    term = Term(uuid4().hex[:12], start, SystemClock().now_ms())
    terms = Terms(shard=shard, terms=(*earlier, term))
    await log.append(LATEST, [(shard, Entry(terms_key(shard), encode(terms)))])
    return term


async def price(
    log: EventLog,
    contract_id: str,
    usd: str,
    *,
    version: int = 1,
    observed_at: int = SEEN_MS,
    market: Market | None = None,
) -> None:
    """Publish a price, as the processor would."""
    value = Price(
        contract_id=ContractId(contract_id),
        usd=usd,
        version=version,
        observed_at=observed_at,
        origins=(),
        market=market,
    )
    await put(log, LATEST, price_key(value.contract_id), encode(value))


async def prices(log: EventLog, contract_ids: Sequence[str], usd: str) -> None:
    """Publish one price of many tokens at once."""
    placed = []
    for each in contract_ids:
        value = Price(
            contract_id=ContractId(each),
            usd=usd,
            version=1,
            observed_at=SEEN_MS,
            origins=(),
        )
        key = price_key(value.contract_id)
        place = partition_of(partition_key(key), PARTITIONS)
        placed.append((place, Entry(key, encode(value))))
    await log.append(LATEST, placed)


async def token(log: EventLog, contract_id: str, **fields: Any) -> None:
    """Publish a token."""
    value = Token(
        contract_id=ContractId(contract_id),
        fields=TokenFields(**fields),
        version=1,
        observed_at=SEEN_MS,
        origins=(),
    )
    await put(log, LATEST, token_key(value.contract_id), encode(value))


async def balance(
    log: EventLog,
    user_id: UserId,
    contract_id: ContractId,
    amount: int | None,
    *,
    totals: tuple[str, str] | None = None,
    version: int = 1,
    **subnets: int,
) -> None:
    """Publish a balance; each subnet is named by its contract's name under ``ANNE``."""
    sent, received = totals or (None, None)
    value = Balance(
        user_id=user_id,
        contract_id=contract_id,
        mainnet=None
        if amount is None
        else MainnetPart(
            balance=f"{amount}",
            total_sent=sent,
            total_received=received,
            observed_at=SEEN_MS,
        ),
        subnets={
            ContractId(f"{ANNE}.{name.replace('_', '-')}"): SubnetPart(
                balance=f"{held}", observed_at=SEEN_MS
            )
            for name, held in subnets.items()
        },
        version=version,
        observed_at=SEEN_MS,
        origins=(),
    )
    await put(log, LATEST, balance_key(user_id, contract_id), encode(value))


async def the_tokens(log: EventLog) -> None:
    """Publish two mainnet tokens and a subnet token of one of them."""
    await token(log, CHA, name="Charisma", symbol="CHA", decimals=6, type="SIP10")
    await token(log, CHA_SUBNET, decimals=6, type="SUBNET", base=CHA)
    await token(log, WELSH, name="Welsh", symbol="WELSH", decimals=6)


async def two_prices(log: EventLog) -> None:
    await price(log, STX, "0.63")
    await price(log, CHA, "0.4684")


async def demanded(log: EventLog) -> list[tuple[str, Message | None]]:
    """Return the records of ``demand``, the refresh requests last."""
    parts = [Partition(DEMAND, number) for number in range(PARTITIONS)]
    found = await read_all(log, parts)
    return [
        ((record.key or b"").decode(), json.loads(record.value or b"null"))
        for part in parts
        for record in found[part]
    ]


def update_of(
    contract_id: str, usd: float, *, timestamp: int = SEEN_MS, source: str = "local-dev"
) -> Message:
    return {
        "type": "PRICE_UPDATE",
        "contractId": contract_id,
        "price": usd,
        "timestamp": timestamp,
        "source": source,
    }
