"""Small directed scenes: one thing goes wrong, at the moment at which it hurts.

Each is played by processors as they are, which must come through it, and by mutants,
which the same judgement must catch.
"""

import asyncio
import signal
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from eventlog.port import EventLog
from schemas.topics import CHANGES, RAW
from tests.chaos.fleet import end, spawn
from tests.chaos.judge import Judgement, judge
from tests.chaos.run import processor_command
from tests.chaos.stage import SHARDS, open_log, partitions
from tests.chaos.stream import Stream
from tests.chaos.verdict import seen_of, standing_in
from tests.chaos.watcher import WATCHED, Watcher, watching
from tests.support.kafka_proxy import FETCH, KafkaProxy, Meddle
from tests.support.logs import Place
from tests.support.pipeline import TOPICS, append

# Longer than all of a scene takes; a mutant may be stuck for good, and damage is done
# by then.
_LIMIT_S, _MUTANT_LIMIT_S = 60.0, 25.0
_LOOK_S = 0.02
# Some weeks before these lines were written: nothing that is said comes from the future.
_START_MS = 1_790_000_000_000
STUCK = "lost 1: the scene got stuck"
ASSIGNED = '"shards assigned"'
LOST = '"shard lost to another owner"'


@dataclass(frozen=True, slots=True)
class Arena:
    """Where a scene is played: an empty log, and the proxy before it if it has one."""

    folder: Path
    near: Place
    far: Place
    proxy: KafkaProxy | None = None

    @property
    def armed(self) -> Path:
        """The file that arms a processor's point."""
        return self.folder / "armed"


@dataclass
class Trial:
    """A scene being played."""

    arena: Arena
    log: EventLog
    watcher: Watcher
    mutant: str = ""
    _said: int = 0
    _processes: list[Process] = field(default_factory=list)

    async def say(self, batches: int) -> None:
        """Append the next batches of a stream."""
        stream = Stream(7, start_ms=_START_MS)
        for _ in range(batches):
            await append(self.log, stream.batch(self._said))
            self._said += 1

    async def folded(self) -> None:
        """Wait until all that was said is folded."""
        await self.watcher.folded(await self.log.ends(partitions(*RAW)))

    async def start(self, name: str, *, point: str = "") -> Process:
        """Start a processor, as the mutant if there is one, with a point to stop at."""
        module, *arguments = processor_command(self.arena.far)
        variables = {"CHAOS_MUTANT": self.mutant}
        if point:
            variables["CHAOS_POINT"] = f"{point}:{self.arena.armed}"
        process = await spawn(
            module,
            *arguments,
            name,
            output=self.output(name),
            variables=variables,
        )
        self._processes.append(process)
        return process

    def output(self, name: str) -> Path:
        """Return where a processor's words go."""
        return self.arena.folder / f"{name}.log"

    async def stop(self) -> None:
        """Stop all processors as one stops a service."""
        for process in self._processes:
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
        for process in self._processes:
            await process.wait()

    async def kill(self) -> None:
        """End whatever still runs."""
        for process in self._processes:
            await end(process)

    async def judged(self) -> Judgement:
        """Judge what stands, and what was seen."""
        await self.watcher.read_to(await self.log.ends(partitions(*WATCHED)))
        whole = Judgement()
        for shard in SHARDS:
            standing = await standing_in(self.log, shard)
            whole.add(judge(shard, standing, seen_of(self.watcher, shard)))
        return whole


async def until(happened: Callable[[], object]) -> None:
    """Wait for what another process does."""
    while not happened():  # noqa: ASYNC110 - other processes set no event of ours
        await asyncio.sleep(_LOOK_S)


def is_stopped(process: Process) -> bool:
    """Tell whether a process was stopped by a signal."""
    stat = Path(f"/proc/{process.pid}/stat").read_text()
    return stat.rpartition(")")[2].split()[0] == "T"


@asynccontextmanager
async def trial(arena: Arena, mutant: str) -> AsyncIterator[Trial]:
    """Have a scene ready to be played; nothing of it is left running."""
    async with open_log(arena.near) as log:
        await log.create(TOPICS)
        async with watching(arena.near) as watcher:
            played = Trial(arena, log, watcher, mutant)
            try:
                yield played
            finally:
                await played.kill()


async def refused_send(played: Trial) -> None:
    """The broker refuses the records for one topic of a new owner's first commit.

    The first, because nothing that the owner itself committed is read again then: what
    it wrongly remembers stays.
    """
    proxy = played.arena.proxy
    assert proxy is not None
    await played.start("one")
    await played.say(2)
    await played.folded()
    await played.stop()
    with proxy.refusing(f"{played.arena.far.prefix}{CHANGES}") as refusal:
        await played.start("two")
        await played.say(1)
        await until(lambda: refusal.met)
        await played.say(1)
        await played.folded()


async def slow_restore(played: Trial) -> None:
    """The log is slow just when a new owner reads its state back."""
    proxy = played.arena.proxy
    assert proxy is not None
    await played.start("one")
    await played.say(2)
    await played.folded()
    await played.stop()
    with proxy.meddling(FETCH, Meddle.DELAY, count=6, delay_s=2.0):
        await played.start("two")
        await played.say(2)
        await played.folded()


async def zombie(played: Trial, *, point: str = "stop-before-commit") -> None:
    """An owner sleeps on its commit; another takes over and works; then it wakes."""
    one = await played.start("one", point=point)
    await played.say(2)
    await played.folded()
    played.arena.armed.touch()
    await played.say(2)
    await until(lambda: is_stopped(one))
    await played.start("two")
    await played.folded()
    before = _commits(played)
    one.send_signal(signal.SIGCONT)
    await until(lambda: _has_woken(played.output("one")) or _commits(played) > before)
    await played.say(2)
    await played.folded()


def _has_woken(output: Path) -> bool:
    """Tell whether an owner that slept has been told that it is none any more."""
    said = output.read_text()
    return LOST in said or said.count(ASSIGNED) > 1


def _commits(played: Trial) -> int:
    return sum(map(len, played.watcher.commits_s.values()))


async def dead_after_commit(played: Trial) -> None:
    """A processor dies as soon as the log has taken what it handed over."""
    one = await played.start("one", point="kill-after-commit")
    await played.say(2)
    await played.folded()
    played.arena.armed.touch()
    await played.say(1)
    await one.wait()
    assert one.returncode == -signal.SIGKILL
    await played.start("two")
    await played.say(2)
    await played.folded()


async def play(
    arena: Arena, scene: Callable[[Trial], Awaitable[None]], mutant: str = ""
) -> Judgement:
    """Play a scene to its end and judge it; one that gets stuck is damaged."""
    async with trial(arena, mutant) as played:
        stuck = False
        try:
            async with asyncio.timeout(_MUTANT_LIMIT_S if mutant else _LIMIT_S):
                await scene(played)
        except TimeoutError:
            stuck = True
        await played.stop()
        found = await played.judged()
        if stuck:
            found.lost += 1
            found.findings.append(STUCK)
        return found
