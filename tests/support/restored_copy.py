"""A log that is replaced by an older copy of itself, and what clients got of it before."""

import asyncio
import shutil
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import count
from pathlib import Path

from eventlog.partition import partition_of
from eventlog.port import Entry, EventLog
from processor.config import ProcessorConfig
from schemas.base import encode
from schemas.ids import ContractId
from schemas.log import World
from schemas.prices import PriceObserved
from schemas.topics import LATEST, PRICES_RAW
from tests.support.edge_table import identity
from tests.support.event_stream import streaming
from tests.support.processing import processing
from tests.support.serving import (
    ANNE,
    LONG_S,
    PARTITIONS,
    Message,
    Serving,
    a_log,
    put,
    serving_from,
)

TOKENS = [ContractId(f"{ANNE}.token-{number}") for number in range(10)]
NINE, TENTH = TOKENS[:9], TOKENS[9]
RESUMING = ("ack", "resume")

Values = dict[str, Decimal]


@dataclass
class RestoredLog:
    """A folder with a log, and services that are started over it again and again."""

    folder: Path
    _moments: "count[int]" = field(default_factory=lambda: count(1))
    _begun: bool = False

    @asynccontextmanager
    async def services(self) -> AsyncIterator[Serving]:
        """Run a processor and an edge over the log; stop both in the end."""
        config = ProcessorConfig("one", watermark_s=0.05, idle_watermark_s=0.1)
        async with a_log(self.folder) as log:
            if not self._begun:
                # The processor begins the terms.
                await put(log, LATEST, *identity(World.SIMULATED))
                self._begun = True
            async with processing(log, config), serving_from(log) as running:
                yield running

    async def say(
        self, running: Serving, tokens: Sequence[ContractId], usd: str
    ) -> None:
        """Observe a price of each token; return when the edge has them all."""
        await observe(running.log, tokens, usd, at_ms=next(self._moments))
        await until_shown(running, tokens, usd)

    def copy(self) -> None:
        """Make a copy of the log, as an operator does while it is in use."""
        with (
            closing(sqlite3.connect(self._path)) as source,
            closing(sqlite3.connect(self._copy)) as target,
        ):
            source.backup(target)

    def put_back(self) -> None:
        """Put the copy where the log is."""
        for name in self.folder.glob(f"{self._path.name}-*"):
            if name.is_file():
                name.unlink()
        shutil.copy(self._copy, self._path)

    @property
    def _path(self) -> Path:
        return self.folder / "log.sqlite"

    @property
    def _copy(self) -> Path:
        return self.folder / "copy.sqlite"


async def observe(
    log: EventLog, tokens: Sequence[ContractId], usd: str, *, at_ms: int
) -> None:
    entries = []
    for each in tokens:
        said = PriceObserved(
            contract_id=each,
            source="a",
            usd=usd,
            observed_at=at_ms,
            sequence=0,
            market=None,
        )
        key = each.encode()
        entries.append((partition_of(key, PARTITIONS), Entry(key, encode(said))))
    await log.append(PRICES_RAW, entries)


async def until_shown(running: Serving, tokens: Sequence[ContractId], usd: str) -> None:
    """Wait until the edge has told this price of every token."""
    missing = set(tokens)
    async with running.listener() as listener, asyncio.timeout(LONG_S):
        await listener.send("SUBSCRIBE", contractIds=list(tokens))
        while missing:
            said = await listener.next()
            if said["type"] == "PRICE_UPDATE" and f"{said['price']}" == usd:
                missing.discard(said["contractId"])


@dataclass
class Client:
    """What a client of each kind keeps of an edge."""

    values: Values
    socket: str
    stream: str
    query: str
    tag: str


async def client_of(running: Serving) -> Client:
    """Get all prices in every way there is."""
    async with running.listener() as listener:
        await listener.asks("HELLO", features=RESUMING)
        *_, batch = await listener.asks("SUBSCRIBE")
    async with streaming(running) as events:
        await events.until_id()
    async with running.http() as http:
        answer = await http.get("/prices")
    return Client(
        values=prices_in(answer.json()["prices"]),
        socket=batch["cursor"],
        stream=events.last_id or "",
        query=answer.headers["Feed-Cursor"],
        tag=answer.headers["ETag"],
    )


def prices_in(updates: Sequence[Message]) -> Values:
    return {each["contractId"]: Decimal(f"{each['price']}") for each in updates}
