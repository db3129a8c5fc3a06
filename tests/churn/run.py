"""A whole run: values change fast while clients come and go; then every view is compared."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from eventlog.partition import partition_of
from eventlog.port import Cleanup, Entry, EventLog, TopicSpec
from eventlog.sqlite import SqliteConfig, open_sqlite
from schemas.extras import FEATURES
from schemas.ids import ContractId, UserId
from schemas.latest import balance_key
from schemas.topics import LATEST, TOPICS, partition_key
from tests.churn.client import Beat, Client
from tests.churn.history import PARTITIONS, History, Key
from tests.churn.view import View, values
from tests.support import edge_table
from tests.support.edge_process import EdgeProcess, edge_process
from tests.support.edge_table import (
    ANNE,
    BOB,
    CHA,
    WELSH,
    Record,
    identity,
    terms,
    token,
)
from tests.support.logs import now_ms
from tests.support.raw_ws import CLOSE, TEXT, frame, open_raw
from tests.support.serving import MARKERS, Message

TOKENS = [ContractId(f"{BOB}.token-{number}") for number in range(8)]
USERS = [ANNE, BOB, UserId(CHA), UserId(WELSH)]
# So small that who does not read for some rounds is behind, and soon dropped.
_SETTINGS = {"client_buffer_bytes": 16_384, "stall_s": 3.0, "heartbeat_s": 0.5}
_MOST_SHOWN = 20
_LONGER_S = 60.0


@dataclass(frozen=True, slots=True)
class Plan:
    """``rounds`` of changes, or as many as fit into ``seconds``.

    ``limit_s`` is how long a client waits at the end for what it lacks.
    """

    seed: int = 1
    clients: int = 300
    rounds: int = 1_000_000
    seconds: float = 60.0
    mutant: str = ""
    limit_s: float = 20.0


@dataclass
class Report:
    """What was done and what was found."""

    flaws: list[str] = field(default_factory=list)
    done: "Counter[str]" = field(default_factory=Counter)
    rounds: int = 0
    changes: int = 0
    heard: int = 0

    @property
    def is_ok(self) -> bool:
        return not self.flaws

    def line(self) -> str:
        verdict = "ok" if self.is_ok else f"{len(self.flaws)} flaws"
        done = ", ".join(f"{count} {name}" for name, count in sorted(self.done.items()))
        return (
            f"{verdict}: {self.changes} changes in {self.rounds} rounds, "
            f"{self.heard} messages heard; {done}"
        )


@dataclass
class Writer:
    """Publishes what it notes in the history, round by round."""

    log: EventLog
    history: History
    dice: random.Random

    async def round(self) -> int:
        """Publish some changes and a marker in each partition; return the last value."""
        changed: dict[Key, Record] = {}
        for _ in range(self.dice.randint(1, 40)):
            one = self.dice.choice(TOKENS)
            key = Key(one)
            if self.dice.random() < 0.6:
                key = Key(self.dice.choice(USERS), one)
            if key not in changed:
                changed[key] = self._changed(key)
        for marker in MARKERS:
            changed[Key(marker)] = self._changed(Key(marker))
        placed = [
            (partition_of(partition_key(record[0]), PARTITIONS), Entry(*record))
            for record in changed.values()
        ]
        offsets = await self.log.append(LATEST, placed)
        for key, offset in zip(changed, offsets, strict=True):
            self.history.appended(key, offset)
        return self.history.value

    def _changed(self, key: Key) -> Record:
        if not key.token:
            value = self.history.put(key)
            return edge_table.price(ContractId(key.owner), f"{value}", version=value)
        user, contract = UserId(key.owner), ContractId(key.token)
        if self.dice.random() < 0.05:
            self.history.withdraw(key)
            return balance_key(user, contract), None
        value = self.history.put(key)
        return edge_table.balance(user, contract, value, version=value)


async def run(
    folder: Path, plan: Plan, say: Callable[[str], None] = lambda _: None
) -> Report:
    """Carry out a plan."""
    report, history = Report(), History()
    dice = random.Random(plan.seed)
    async with AsyncExitStack() as stack:
        log = await stack.enter_async_context(a_log(folder))
        opened = edge_process(
            folder / "log.sqlite",
            partitions=PARTITIONS,
            mutant=plan.mutant,
            **_SETTINGS,
        )
        edge = await stack.enter_async_context(opened)
        clients = [_client(each, edge, history, plan) for each in range(plan.clients)]
        try:
            async with asyncio.timeout(plan.seconds + _LONGER_S):
                await _all(clients, Writer(log, history, dice), plan, report, say)
        except* (TimeoutError, ConnectionError) as errors:
            said = f"{errors.exceptions!r} {edge.said[-3_000:]}"
            report.flaws.append(f"did not come to its end: {said}")
        if "Traceback" in edge.said:
            report.flaws.append(f"the edge said: {edge.said[-3_000:]}")
    _sum_up(report, clients, history)
    return report


def _client(number: int, edge: EdgeProcess, history: History, plan: Plan) -> Client:
    dice = random.Random(f"{plan.seed}:{number}")
    party = dice.choice(("prices", "balances"))
    features: tuple[str, ...] = ()
    if dice.random() < 0.6:
        others = [each for each in FEATURES if each != "resume"]
        features = (*dice.sample(others, dice.randint(0, 3)), "resume")
    choices = [*TOKENS] if party == "prices" else [*USERS]
    view = View(history, prices=party == "prices")
    name = f"client {number} ({party}, {'-'.join(features) or 'base'})"
    return Client(name, edge.port, party, [*map(str, choices)], features, dice, view)


async def _all(
    clients: list[Client],
    writer: Writer,
    plan: Plan,
    report: Report,
    say: Callable[[str], None],
) -> None:
    beat = Beat()
    loop = asyncio.get_running_loop()
    end_s = loop.time() + plan.seconds
    port, limit_s = clients[0].port, plan.limit_s

    async def told(value: int) -> None:
        """Go on without what is lost: who misses it will say so."""
        with suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                await pilot(value)

    async with a_pilot(port) as pilot, asyncio.TaskGroup() as group:
        await told(await writer.round())
        for client in clients:
            living = client.live(beat, limit_s=limit_s)
            group.create_task(living, name=client.name)
        while report.rounds < plan.rounds and loop.time() < end_s:
            await told(await writer.round())
            report.rounds += 1
            beat.ring()
        beat.end()
    say(f"{report.rounds} rounds")


def _sum_up(report: Report, clients: list[Client], history: History) -> None:
    report.changes = history.value
    for client in clients:
        report.done.update(client.done)
        report.heard += client.view.heard
        report.flaws += [f"{client.name}: {flaw}" for flaw in client.view.flaws]
    hidden = len(report.flaws) - _MOST_SHOWN
    if hidden > 0:
        report.flaws[_MOST_SHOWN:] = [f"and {hidden} more"]


@asynccontextmanager
async def a_pilot(port: int) -> AsyncIterator[Callable[[int], Awaitable[None]]]:
    """Return what waits until the edge has told of all up to a value."""
    connection = await open_raw(port, "/prices")
    said = f'{{"type":"SUBSCRIBE","contractIds":["{MARKERS[0]}","{MARKERS[1]}"]}}'
    connection.send(frame(TEXT, said.encode()))
    newest: dict[str, int] = dict.fromkeys(MARKERS, 0)

    async def until(value: int) -> None:
        while min(newest.values()) < value - 1:
            heard = await connection.next()
            if heard is None or heard.opcode == CLOSE:
                raise ConnectionError("the edge closed the pilot")
            for key, found in values(_message(heard.payload)):
                if key.owner in newest:
                    newest[key.owner] = max(newest[key.owner], found)

    try:
        yield until
    finally:
        connection.transport.abort()


def _message(payload: bytes) -> Message:
    found: Message = json.loads(payload)
    return found


@asynccontextmanager
async def a_log(folder: Path) -> AsyncIterator[EventLog]:
    """Open a fresh log in which the tokens stand."""
    config = SqliteConfig(folder / "log.sqlite", now_ms=now_ms)
    async with open_sqlite(config) as log:
        keep = Cleanup(compact=False, retention_ms=None)
        await log.create([TopicSpec(t.name, PARTITIONS, keep) for t in TOPICS])
        records = [identity(partitions=PARTITIONS)]
        records += [token(each, decimals=0) for each in TOKENS]
        for key, value in records:
            place = partition_of(partition_key(key), PARTITIONS)
            await log.append(LATEST, [(place, Entry(key, value))])
        for part in range(PARTITIONS):
            await log.append(LATEST, [(part, Entry(*terms(part)))])
        yield log
