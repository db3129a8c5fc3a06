"""A whole run: cases by the thousand at one edge, bystanders all the while, then a count."""

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from eventlog.port import Cleanup, EventLog, TopicSpec
from eventlog.sqlite import SqliteConfig, open_sqlite
from schemas.topics import TOPICS
from tests.fuzz.bystander import Bystanders, bystanders, settle
from tests.fuzz.play import Case, case, play
from tests.support.edge_process import Counted, EdgeProcess, edge_process
from tests.support.logs import now_ms

_LANES = 6
_WARM_UP = 0.2  # of the cases, before what the edge holds is first counted
_MOST_WARM_UP = 2_000
_MOST_FLAWS = 20
_POLL_S = 0.02
_COUNT_AGAIN_S = 0.5
# What may be more after than before: labels of metrics, the allocator's habits, and the
# addresses that were asked for, 4,096 of which are remembered.
SLACK = Counted(tasks=2, parts=8, objects=6_000, files=2, memory_kib=40_000)


@dataclass
class Report:
    """What was played and what was found."""

    seed: int
    flaws: list[str] = field(default_factory=list)
    units: int = 0
    cases: int = 0
    rounds: int = 0
    kinds: "Counter[str]" = field(default_factory=Counter)
    before: Counted | None = None
    after: Counted | None = None

    @property
    def is_ok(self) -> bool:
        return not self.flaws

    def note(self, played: Case, wrong: str | None) -> None:
        self.cases += 1
        self.units += played.units
        self.kinds[played.kind] += played.units
        if wrong is not None:
            said = f"seed {self.seed} case {played.number} ({played.kind}): {wrong}"
            self.flaws.append(said)

    def line(self) -> str:
        kinds = ", ".join(f"{count} {kind}" for kind, count in self.kinds.items())
        verdict = "ok" if self.is_ok else f"{len(self.flaws)} flaws"
        return (
            f"{verdict}: {self.units} in {self.cases} cases ({kinds}), "
            f"{self.rounds} rounds heard by bystanders; held {self.before}, "
            f"then {self.after}"
        )


@dataclass
class Attack:
    """The cases still to come, and the edge that they go to."""

    edge: EdgeProcess
    around: Bystanders
    report: Report
    numbers: Iterator[int]
    limit_s: float
    _played: asyncio.Event = field(default_factory=asyncio.Event)
    _over: bool = False
    _lost: bool = False

    async def until(self, units: int) -> None:
        """Play cases until so many frames and requests were sent, or all is lost."""
        self._over = False
        async with asyncio.TaskGroup() as group:
            looking = group.create_task(self._look(), name="bystanders")
            lanes = [
                group.create_task(self._lane(units), name=f"lane {number}")
                for number in range(_LANES)
            ]
            await asyncio.wait(lanes)
            self._over = True
            self._played.set()
            await looking

    async def _lane(self, units: int) -> None:
        report = self.report
        while report.units < units and self._goes_on():
            played = case(report.seed, next(self.numbers))
            wrong = await play(
                played, self.edge.port, seed=report.seed, limit_s=self.limit_s
            )
            report.note(played, wrong)
            self._played.set()

    async def _look(self) -> None:
        """Publish a round after each case or some, and have it heard."""
        while not (self._over or self._lost):
            await self._played.wait()
            self._played.clear()
            wrong = await self.around.round(limit_s=self.limit_s)
            self.report.rounds = self.around.rounds
            if wrong is not None:
                self.report.flaws.append(f"bystander: {wrong}")
                self._lost = True

    def _goes_on(self) -> bool:
        few = len(self.report.flaws) < _MOST_FLAWS
        return self.edge.is_alive and few and not self._lost


@dataclass(frozen=True, slots=True)
class Plan:
    """How many frames, messages and requests; or ``only`` one case, at a spoilt edge or not.

    ``limit_s`` is how long is waited for what must come.
    """

    seed: int = 1
    count: int = 2_000
    only: int | None = None
    mutant: str = ""
    limit_s: float = 20.0


async def run(
    folder: Path, plan: Plan, say: Callable[[str], None] = lambda _: None
) -> Report:
    """Carry out a plan."""
    report, only = Report(plan.seed), plan.only
    async with AsyncExitStack() as stack:
        log = await stack.enter_async_context(a_log(folder))
        await settle(log)
        edge = await stack.enter_async_context(
            edge_process(
                folder / "log.sqlite", partitions=1, mutant=plan.mutant, deflate=True
            )
        )
        try:
            around = await stack.enter_async_context(bystanders(log, edge.port))
            numbers = itertools.count() if only is None else iter([only])
            attack = Attack(edge, around, report, numbers, plan.limit_s)
            await _play_all(attack, plan.count if only is None else 1, say)
        except (ConnectionError, httpx.TransportError, TimeoutError) as error:
            report.flaws.append(f"the edge could not be asked: {error!r}")
        await _look_at(edge, report)
    return report


async def _play_all(attack: Attack, count: int, say: Callable[[str], None]) -> None:
    edge, report = attack.edge, attack.report
    await attack.until(min(int(count * _WARM_UP), _MOST_WARM_UP))
    report.before = await _quiet(edge, attack)
    for part in range(1, 11):
        await attack.until(count * part // 10)
        say(f"{report.units} of {count}, {len(report.flaws)} flaws")
    if edge.is_alive:
        report.after = await _settled(edge, attack, report.before)
        report.flaws += leaks(report.before, report.after)


async def _quiet(edge: EdgeProcess, attack: Attack) -> Counted:
    """Wait until nobody but the bystanders is connected; return what the edge holds."""
    wanted = len(attack.around.everybody)
    async with httpx.AsyncClient() as http:
        async with asyncio.timeout(attack.limit_s):
            while await _clients(http, edge.port) != wanted:  # noqa: ASYNC110 - another process
                await asyncio.sleep(_POLL_S)
    # The connection that asked is still being taken down.
    return await edge.count()


async def _settled(edge: EdgeProcess, attack: Attack, before: Counted) -> Counted:
    """Return what the edge holds once it is no more than before, or after some time.

    Connections that are refused linger for some seconds, so that the answer arrives.
    """
    after = await _quiet(edge, attack)
    with suppress(TimeoutError):
        async with asyncio.timeout(attack.limit_s):
            while leaks(before, after):
                await asyncio.sleep(_COUNT_AGAIN_S)
                after = await edge.count()
    return after


async def _clients(http: httpx.AsyncClient, port: int) -> float:
    lines = (await http.get(f"http://127.0.0.1:{port}/metrics")).text.splitlines()
    found = [line for line in lines if line.startswith("stacks_feed_clients{")]
    return sum(float(line.rpartition(" ")[2]) for line in found)


def leaks(before: Counted, after: Counted) -> list[str]:
    """Return of what an edge holds more than it did."""
    found = []
    for name in ("tasks", "parts", "objects", "files", "memory_kib"):
        was, is_now = getattr(before, name), getattr(after, name)
        if is_now > was + getattr(SLACK, name):
            found.append(f"leak: {is_now} {name}, before it was {was}")
    return found


async def _look_at(edge: EdgeProcess, report: Report) -> None:
    """See whether it lives, and whether it said that something is wrong with itself."""
    if not edge.is_alive:
        report.flaws.append(f"the edge ended with {edge.process.returncode}")
    for sign in ("Traceback", '"level":"error"', '"level": "error"'):
        if sign in edge.said:
            report.flaws.append(f"the edge said: {edge.said[-3_000:]}")
            return


@asynccontextmanager
async def a_log(folder: Path) -> AsyncIterator[EventLog]:
    """Open a fresh log of one partition."""
    config = SqliteConfig(folder / "log.sqlite", now_ms=now_ms)
    async with open_sqlite(config) as log:
        keep = Cleanup(compact=False, retention_ms=None)
        await log.create([TopicSpec(t.name, 1, keep) for t in TOPICS])
        yield log
