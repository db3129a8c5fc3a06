"""A whole run: `up` with clients, a copy, kill -9 of everything, the copy put back.

Three groups of clients see it, each with one of every kind and party:

- ``steady`` ones are there all the time and come back as soon as there is an edge;
- ``late`` ones see all that is lost, and come back when the restored log has grown past
  their cursors, if that does not take too long;
- ``early`` ones are cut off just before the copy is made, so they have seen nothing that
  it lacks, and come back with the late ones.
"""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from edge.core.cursor import parse_cursor
from tests.restored.clients import Client, clients_of
from tests.restored.judge import Judge, differences, in_words
from tests.restored.table import Key, Table, read_json, rows_in
from tests.support.feeding import Relay, relaying
from tests.support.processes import ended, happens, is_alive, start
from tests.support.system import System, system

STEADY, LATE, EARLY = GROUPS = ("steady", "late", "early")
# In the world of this seed some tokens are known to neither of these price sources.
_SEED, _TOKENS, _SOURCES = 27, 30, '["kraxel", "stxtools"]'
_USERS = 3
_AMOUNT = 7_000_000
_LOOK_S, _POLL_S = 1.0, 0.1
_ANSWER_S = 20.0
_MOST_SHOWN = 20
# Lines that should be in the log of no system that is not killed.
_BAD_EVENTS = ("service failed", "service died", "service gave up")


@dataclass(frozen=True, slots=True)
class Plan:
    """How long each part lasts.

    ``before_s`` is up to the copy, ``lost_s`` from there to the kill, ``after_s`` from the
    restore to the last comparison; the late and early clients are back by ``away_s`` of it.
    ``old_after_s`` is how long a client may keep a value that the table has not, ``wait_s``
    how long is waited for what must come.
    """

    before_s: float = 0.0
    lost_s: float = 0.0
    after_s: float = 0.0
    away_s: float = 60.0
    price_interval_s: float = 1.0
    poll_s: float = 0.5
    old_after_s: float = 30.0
    wait_s: float = 60.0


@dataclass
class Report:
    """What was done and what was found.

    ``lost`` counts the keys that had another value, or none, when the copy was made;
    ``gone`` those of them that are held no more in the end. ``answers`` tells how clients
    were answered first when they came back after the restore.
    """

    flaws: list[str] = field(default_factory=list)
    answers: "Counter[str]" = field(default_factory=Counter)
    clients: int = 0
    keys: int = 0
    lost: int = 0
    gone: int = 0
    looks: int = 0
    outgrown: bool = False
    copy_s: float = 0.0
    log_mb: float = 0.0

    @property
    def is_ok(self) -> bool:
        return not self.flaws

    def line(self) -> str:
        """Return the run in one line."""
        answers = ", ".join(f"{n} {what}" for what, n in sorted(self.answers.items()))
        return (
            f"VERDICT {'ok' if self.is_ok else 'WRONG'} clients={self.clients} "
            f"keys={self.keys} lost={self.lost} gone={self.gone} looks={self.looks} "
            f"outgrown={str(self.outgrown).lower()} log_mb={self.log_mb:.1f} "
            f"copy_s={self.copy_s:.2f} flaws={len(self.flaws)} answers=({answers})"
        )


@dataclass
class Group:
    """Clients that reach the edge by one relay, so that all are cut off together."""

    name: str
    relay: Relay
    clients: list[Client]

    def named(self) -> Iterator[tuple[str, Client]]:
        for client in self.clients:
            yield f"{self.name} {client.kind} ({client.party})", client


class Trial:
    """One run, step by step; what is wrong goes to the report."""

    def __init__(self, folder: Path, plan: Plan, say: Callable[[str], None]) -> None:
        self._folder, self._plan, self._say = folder, plan, say
        self.report, self._judge = Report(), Judge(plan.old_after_s)
        self._groups: list[Group] = []
        self._users: list[str] = []
        self._returns: dict[str, int] = {}

    # ---- the steps

    async def run(self) -> None:
        """Carry everything out."""
        async with AsyncExitStack() as stack:
            relays = [await stack.enter_async_context(relaying()) for _ in GROUPS]
            async with asyncio.TaskGroup() as tasks:
                living = await self._first_life(relays, tasks)
                await self._restore()
                await self._second_life()
                for task in living:
                    task.cancel()
            await self._verify()

    async def _first_life(
        self, relays: list[Relay], tasks: asyncio.TaskGroup
    ) -> list["asyncio.Task[None]"]:
        """Run up to the kill; return the tasks of the clients, which live on."""
        plan = self._plan
        async with self._up() as running:
            await self._choose_users(running)
            self._groups = [
                self._group(*pair) for pair in zip(GROUPS, relays, strict=True)
            ]
            living = [
                tasks.create_task(client.live(), name=name)
                for name, client in self._clients()
            ]
            self.report.clients = len(living)
            self._let_in(running, *GROUPS)
            await self._watched(running, plan.before_s)
            await self._until_all_agreed(running)
            self._cut(EARLY)
            copied = await self._copy(running)
            await self._move_the_world(running, copied)
            await self._watched(running, plan.lost_s)
            await self._until_all_agreed(running)
            self._at_kill, self._lost_cursor = await self._table(running)
            lost = differences(copied, self._at_kill)
            self.report.lost, self._lost = len(lost), lost
            await kill_all(running)
            self._say(f"killed everything; {len(lost)} values stand in no copy")
        self._cut(*GROUPS)
        return living

    async def _restore(self) -> None:
        for name in ("out", "err"):
            path = self._folder / name
            path.rename(path.with_name(f"{name}.first"))
        self._returns = {name: len(client.answers) for name, client in self._clients()}
        await self._command("restore", f"{self._copy_path}")

    async def _second_life(self) -> None:
        plan = self._plan
        async with self._up(STEADY) as running:
            self.report.outgrown = await self._outgrown(running)
            self._say(f"all clients come back; outgrown: {self.report.outgrown}")
            self._let_in(running, LATE, EARLY)
            await self._watched(running, plan.after_s)
            # From here on nothing is read, so that the table stands still.
            await running.admin("faults", upstream="*", kind="503")
            table = await self._until_all_agree(running)
            self._note_gone(table)
            self._note_answers()
        size = self._log_path.stat().st_size
        self.report.log_mb = size / 1_000_000

    async def _verify(self) -> None:
        await self._command("audit", "verify")
        self.report.flaws += self._judge.flaws
        for name, client in self._clients():
            self.report.flaws += [f"{name}: {flaw}" for flaw in client.flaws]

    # ---- parts of them

    @asynccontextmanager
    async def _up(self, *let_in: str) -> AsyncIterator[System]:
        """Run the system until it is killed or stopped; it lets these clients in at once."""
        settings = {
            "price_interval_s": self._plan.price_interval_s,
            "price_sources": _SOURCES,
            "simulator_seed": _SEED,
            "simulator_tokens": _TOKENS,
        }
        async with system(self._folder, **settings) as running:
            self._let_in(running, *let_in)
            await until_ready(running, self._plan.wait_s)
            yield running
        for event in _BAD_EVENTS:
            self.report.flaws += [f"{line}" for line in running.events(event)]

    async def _choose_users(self, running: System) -> None:
        async with httpx.AsyncClient(timeout=_ANSWER_S) as http:
            answer = await http.get(f"{running.simulator}/admin/world")
        self._world = answer.raise_for_status().json()
        self._users = self._world["accounts"][:_USERS]

    def _group(self, name: str, relay: Relay) -> Group:
        clients = clients_of(relay.port, self._users, poll_s=self._plan.poll_s)
        return Group(name, relay, clients)

    async def _copy(self, running: System) -> Table:
        """Copy the log while it is in use; return the table from just before."""

        async def has_an_empty_balance() -> bool:
            return bool(self._empty((await self._table(running))[0]))

        await happens(has_an_empty_balance, self._plan.wait_s, "the accounts are read")
        table, _ = await self._table(running)
        began_s = asyncio.get_running_loop().time()
        await self._command("backup", f"{self._copy_path}")
        self.report.copy_s = asyncio.get_running_loop().time() - began_s
        return table

    def _empty(self, table: Table) -> list[Key]:
        """Return the balances of the first account that are 0, of tokens of this world."""
        tokens = {token["contractId"] for token in self._world["tokens"]}
        return [
            key
            for key, value in table.items()
            if key.user_id == self._users[0]
            and key.contract_id in tokens
            and not value.amount
        ]

    async def _move_the_world(self, running: System, table: Table) -> None:
        """Let a price and a balance appear that the copy has not."""
        tokens = [token["contractId"] for token in self._world["tokens"]]
        unknown = [each for each in tokens if Key(each) not in table]
        await running.admin("price", contractId=unknown[0], usd=0.5)
        empty = self._empty(table)[0]
        await running.admin(
            "balance",
            user=self._users[0],
            contractId=empty.contract_id,
            amount=f"{_AMOUNT}",
        )
        appeared = (Key(unknown[0]), empty)

        async def is_there() -> bool:
            now, _ = await self._table(running)
            return all(key in now and now[key].amount for key in appeared)

        await happens(is_there, self._plan.wait_s, f"{appeared} appear")

    async def _outgrown(self, running: System) -> bool:
        """Wait until the restored log has grown past the cursors that are lost."""
        lost = parse_cursor(self._lost_cursor)
        assert lost is not None

        async def is_past() -> bool:
            found = parse_cursor((await self._table(running))[1])
            assert found is not None
            pairs = zip(found.positions, lost.positions, strict=True)
            return all(now > then for now, then in pairs)

        with suppress(AssertionError):
            await happens(is_past, self._plan.away_s, "the log grows")
            return True
        return False

    async def _watched(self, running: System, seconds: float) -> None:
        """Let time pass; judge all the while whether clients keep to the table."""
        loop = asyncio.get_running_loop()
        end_s = loop.time() + seconds
        while loop.time() < end_s:
            try:
                self._look(loop.time(), (await self._table(running))[0])
            except httpx.HTTPError as error:
                self.report.flaws.append(f"a GET failed: {error!r}")
            await asyncio.sleep(_LOOK_S)

    def _look(self, now_s: float, table: Table) -> None:
        self.report.looks += 1
        here = dict(self._here())
        for name, client in self._clients():
            if name in here:
                self._judge.look(now_s, name, client.part_of(table), client.held)
            else:
                self._judge.pause(name)

    async def _until_all_agreed(self, running: System) -> None:
        """Wait until each client has held the whole table of some moment."""
        missing = {name: "" for name, _ in self._here()}

        async def agreed() -> bool:
            table, _ = await self._table(running)
            for name, client in self._here():
                words = in_words(name, client.part_of(table), client.held)
                if words and name in missing:
                    missing[name] = words
                else:
                    missing.pop(name, None)
            return not missing

        try:
            await happens(agreed, self._plan.wait_s, "clients see all")
        except AssertionError:
            self.report.flaws += missing.values()

    async def _until_all_agree(self, running: System) -> Table:
        """Return the table, which stands still, once all clients hold just that."""
        table: Table = {}
        words: list[str] = []

        async def agree() -> bool:
            nonlocal table, words
            before, (table, _) = table, await self._table(running)
            words = [
                in_words(name, client.part_of(table), client.held)
                for name, client in self._here()
            ]
            return before == table and not any(words)

        try:
            await happens(agree, self._plan.wait_s, "clients agree", every_s=_LOOK_S)
        except AssertionError:
            self.report.flaws += [each for each in words if each]
        return table

    def _note_gone(self, table: Table) -> None:
        """Count what only the lost stretch had; without any nothing would be proved."""
        self.report.keys = len(table)
        gone = [key for key in self._lost if key not in table or not table[key].amount]
        self.report.gone = len(gone)
        if {bool(key.user_id) for key in gone} != {False, True}:
            self.report.flaws.append(f"only these were lost for good: {gone}")

    def _note_answers(self) -> None:
        """Check that everybody was told, at once, whether what it had still holds."""
        for group in self._groups:
            for name, client in group.named():
                answers = client.answers[self._returns[name] :]
                if client.kind == "base websocket":
                    continue
                if not answers:
                    self.report.flaws.append(f"{name} was not answered")
                    continue
                first = answers[0]
                told = first.why or ("recovered" if first.recovered else "everything")
                self.report.answers[f"{group.name} {told}"] += 1
                is_due = group.name == EARLY
                if first.recovered is not is_due and client.kind != "etag":
                    self.report.flaws.append(f"{name} was answered {first}")

    async def _command(self, *arguments: str) -> None:
        process = await start(*arguments, cwd=self._folder)
        end = await ended(process, limit_s=20 * self._plan.wait_s)
        for line in (end.out + end.err).splitlines():
            self._say(f"  {line}")
        if end.code != 0:
            self.report.flaws.append(f"{arguments[0]} ended with {end.code}")

    # ---- clients and tables

    @property
    def _log_path(self) -> Path:
        return self._folder / "data" / "stacks-feed.sqlite"

    @property
    def _copy_path(self) -> Path:
        return self._folder / "copy.sqlite"

    def _clients(self) -> Iterator[tuple[str, Client]]:
        for group in self._groups:
            yield from group.named()

    def _here(self) -> Iterator[tuple[str, Client]]:
        """Yield the clients that are not cut off."""
        for group in self._groups:
            if group.relay.target is not None:
                yield from group.named()

    def _let_in(self, running: System, *names: str) -> None:
        for group in self._groups:
            if group.name in names:
                group.relay.target = int(running.edge.rpartition(":")[2])

    def _cut(self, *names: str) -> None:
        for group in self._groups:
            if group.name in names:
                group.relay.cut()

    async def _table(self, running: System) -> tuple[Table, str]:
        """Return what a fresh GET of both parties gives, and the cursor of the prices."""
        table: Table = {}
        base, users = f"http://{running.edge}", ",".join(self._users)
        async with httpx.AsyncClient(base_url=base, timeout=_ANSWER_S) as http:
            prices = (await http.get("/prices")).raise_for_status()
            asked = http.get("/balances", params={"users": users})
            for answer in (prices, (await asked).raise_for_status()):
                rows = rows_in(read_json(answer.content))
                table |= {key: value for key, value, _ in rows}
        return table, prices.headers["Feed-Cursor"]


async def run(
    folder: Path, plan: Plan, say: Callable[[str], None] = lambda _: None
) -> Report:
    """Carry out a plan in a folder of its own."""
    trial = Trial(folder, plan, say)
    await trial.run()
    hidden = len(trial.report.flaws) - _MOST_SHOWN
    if hidden > 0:
        trial.report.flaws[_MOST_SHOWN:] = [f"and {hidden} more"]
    return trial.report


async def until_ready(running: System, limit_s: float) -> None:
    """Wait until the edge and the simulator serve."""
    urls = (f"http://{running.edge}/health/ready", f"{running.simulator}/admin/faults")

    async def are_ready() -> bool:
        async with httpx.AsyncClient(timeout=_ANSWER_S) as http:
            with suppress(httpx.HTTPError):
                answers = [await http.get(url) for url in urls]
                return all(answer.status_code == httpx.codes.OK for answer in answers)
        return False

    await happens(are_ready, limit_s, "edge and simulator serve")


async def kill_all(running: System) -> None:
    """Kill every process of a system with -9, `up` first, so that it starts none anew."""
    children = running.living()
    for pid in (running.process.pid, *children):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    await running.process.wait()

    async def are_gone() -> bool:
        return not any(map(is_alive, children))

    await happens(are_gone, _ANSWER_S, "all processes are gone")
