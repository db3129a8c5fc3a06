"""How tests of the client library publish versions, listen, and cut connections."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from eventlog.port import EventLog
from schemas.base import encode
from schemas.ids import ContractId
from schemas.latest import price_key
from schemas.prices import Price
from stacks_feed_client import Feed, Options, State, Status, Subscription, Update
from stacks_feed_client.core.values import K, V
from tests.support.serving import LONG_S, SEEN_MS, put


def eager() -> Options:
    """Come back at once."""
    return Options(draw=lambda: 0.0)


@dataclass
class Publisher:
    """Publishes prices, each token's versions 1, 2, 3, …; the price tells the version."""

    log: EventLog
    versions: dict[str, int] = field(default_factory=dict)

    async def price(self, contract_id: str) -> None:
        version = self.versions[contract_id] = self.versions.get(contract_id, 0) + 1
        value = Price(
            contract_id=ContractId(contract_id),
            usd=f"{version}.5",
            version=version,
            observed_at=SEEN_MS + version,
            origins=(),
            market=None,
        )
        await put(self.log, "latest", price_key(value.contract_id), encode(value))

    async def round(self, contract_ids: Sequence[str]) -> None:
        """Publish one more version of each of these."""
        for each in contract_ids:
            await self.price(each)


async def next_of(subscription: Subscription[K, V]) -> Update[K, V]:
    """Return the next update."""
    async with asyncio.timeout(LONG_S):
        return await anext(subscription)


async def until_status(
    feed: Feed[K, V], state: State, *, recovered: bool | None = None
) -> Status:
    """Wait until a feed stands so; ``recovered`` alone is not asked for when ``None``."""
    async with asyncio.timeout(LONG_S), contextlib.aclosing(feed.statuses()) as heard:
        async for status in heard:
            if status.state is state and recovered in {None, status.recovered}:
                return status
    raise AssertionError


class Relay:
    """A port that leads to another, until it is cut: as a machine that dies does."""

    def __init__(self) -> None:
        self.port = 0
        self.target: int | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    def cut(self) -> None:
        """Reset every connection and let nobody through."""
        self.target = None
        for writer in self._writers:
            writer.transport.abort()

    async def carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if self.target is None:
            writer.transport.abort()
            return
        try:
            far_reader, far_writer = await asyncio.open_connection(
                "127.0.0.1", self.target
            )
        except OSError:
            # Nobody listens there (yet).
            writer.transport.abort()
            return
        self._writers |= {writer, far_writer}
        async with asyncio.TaskGroup() as group:
            group.create_task(self._copy(reader, far_writer))
            group.create_task(self._copy(far_reader, writer))
        self._writers -= {writer, far_writer}

    async def _copy(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        with contextlib.suppress(ConnectionError):
            while read := await reader.read(65_536):
                writer.write(read)
                await writer.drain()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


@asynccontextmanager
async def relaying() -> AsyncIterator[Relay]:
    relay = Relay()
    server = await asyncio.start_server(relay.carry, "127.0.0.1", 0)
    relay.port = server.sockets[0].getsockname()[1]
    try:
        yield relay
    finally:
        relay.cut()
        server.close()
        await server.wait_closed()


_numbers = itertools.count(1)


def a_token(name: str) -> ContractId:
    """Return a token that nobody used before."""
    return ContractId(
        f"SP3NE50GEXFG9SZGTT51P40X2CKYSZ5CC4ZTZ7A2G.{name}-{next(_numbers)}"
    )
