"""Clients that do nothing wrong, and must not notice that others do."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from eventlog.partition import partition_of
from eventlog.port import Entry, EventLog
from schemas.ids import ContractId
from schemas.topics import LATEST
from tests.support import edge_table
from tests.support.edge_table import ANNE, BOB, Record, identity, terms, token
from tests.support.raw_ws import CLOSE, TEXT, RawSocket, frame, open_raw

TOKENS = [ContractId(f"{BOB}.bystander-{number}") for number in range(4)]
_EXTRAS = ["ack", "seq", "resume", "heartbeat"]

Value = tuple[str, int]


@dataclass
class Bystander:
    """One client, that must hear each value exactly once and in order."""

    name: str
    connection: RawSocket
    values: list[Value] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)

    async def say(self, kind: str, **fields: Any) -> None:
        said = json.dumps({"type": kind, **fields}).encode()
        self.connection.send(frame(TEXT, said))
        mark = frame(TEXT, b'{"type":"PING","timestamp":"said"}')
        self.connection.send(mark)
        while (await self._next()).get("timestamp") != "said":
            pass

    async def hears(self, wanted: list[Value]) -> str | None:
        """Hear the next values; return what is wrong with them."""
        while len(self.values) < len(wanted):
            message = await self._next()
            self.values += [
                (each["contractId"], int(each.get("balance") or each.get("price") or 0))
                for each in _updates(message)
                if each["contractId"] in TOKENS
            ]
        found, self.values = self.values, []
        if found != wanted:
            return f"{self.name} heard {found}, due was {wanted}"
        if self.numbers != list(range(1, len(self.numbers) + 1)):
            return f"{self.name} heard messages numbered {self.numbers[-5:]}"
        return None

    async def _next(self) -> dict[str, Any]:
        while True:
            heard = await self.connection.next()
            if heard is None or heard.opcode == CLOSE:
                raise ConnectionError(f"{self.name} was closed: {heard}")
            if heard.opcode == TEXT:
                message: dict[str, Any] = json.loads(heard.payload)
                if "seq" in message:
                    self.numbers.append(message["seq"])
                return message


def _updates(message: dict[str, Any]) -> list[dict[str, Any]]:
    if message["type"] in {"PRICE_UPDATE", "BALANCE_UPDATE"}:
        return [message]
    found: list[dict[str, Any]] = message.get("prices") or message.get("balances") or []
    return found


@dataclass
class Bystanders:
    """Those who hear, and the values that they are to hear."""

    log: EventLog
    everybody: list[Bystander]
    rounds: int = 0

    async def round(self, *, limit_s: float) -> str | None:
        """Publish a value of each token; return what somebody heard wrong."""
        self.rounds += 1
        number = self.rounds
        await publish(
            self.log,
            *(edge_table.price(each, f"{number}", version=number) for each in TOKENS),
            *(edge_table.balance(ANNE, t, number, version=number) for t in TOKENS),
        )
        wanted: list[Value] = [(each, number) for each in TOKENS]
        try:
            async with asyncio.timeout(limit_s):
                said = [await one.hears(wanted) for one in self.everybody]
                return next(filter(None, said), None)
        except TimeoutError:
            found = {each.name: each.values for each in self.everybody}
            return f"round {number} was not heard in {limit_s} s: {found}"
        except ConnectionError as error:
            return f"{error}"


async def publish(log: EventLog, *records: Record) -> None:
    """Append records of the table, all in partition 0."""
    entries = [(partition_of(key, 1), Entry(key, value)) for key, value in records]
    await log.append(LATEST, entries)


async def settle(log: EventLog) -> None:
    """Publish what must be there before anybody comes."""
    await publish(
        log,
        identity(partitions=1),
        terms(0),
        *(token(each, decimals=0) for each in TOKENS),
    )


@asynccontextmanager
async def bystanders(log: EventLog, port: int) -> AsyncIterator[Bystanders]:
    """Have some of each kind listen until the context is left."""
    async with AsyncExitStack() as stack:
        everybody = []
        for name, path, extras in (
            ("base prices", "/prices", ()),
            ("base balances", "/balances", ()),
            ("prices with extras", "/prices", _EXTRAS),
            ("balances with extras", "/balances", _EXTRAS),
        ):
            connection = await open_raw(port, path)
            stack.callback(connection.transport.abort)
            one = Bystander(name, connection)
            if extras:
                await one.say("HELLO", features=extras)
            await one.say("SUBSCRIBE", userIds=[ANNE])
            one.values = []
            everybody.append(one)
        yield Bystanders(log, everybody)
