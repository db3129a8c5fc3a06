"""A whole run: the stage is set, the load comes, the faults come, and all is judged."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from eventlog.port import EventLog
from schemas.topics import RAW
from tests.chaos.fleet import Fleet, Kept, open_fleet
from tests.chaos.plan import Plan
from tests.chaos.stage import PREFIX, Stage, open_log, partitions
from tests.chaos.trouble import Scene, Trouble
from tests.chaos.verdict import Verdict, judged, table
from tests.chaos.watcher import WATCHED, Watcher, watching
from tests.support.kafka_from_maven import MavenKafka, artifacts
from tests.support.kafka_proxy import KafkaProxy, open_proxy
from tests.support.logs import Place, now_ms
from tests.support.pipeline import TOPICS

# From the start to the first commits; and from the last fault until all is folded. What
# takes longer is stuck.
_FIRST_LIMIT_S = 60.0
_FOLDED_LIMIT_S = 120.0
_TAIL_S = 3.0

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Set:
    """A stage with the broker and the proxy that stand on it, if any."""

    stage: Stage
    broker: MavenKafka | None = None
    proxy: KafkaProxy | None = None


@asynccontextmanager
async def setting(log: str, folder: Path) -> AsyncIterator[Set]:
    """Set the stage for a kind of log: its topics are there, and nothing in them."""
    async with AsyncExitStack() as stack:
        if log == "kafka":
            scenery = await stack.enter_async_context(_broker(folder))
        else:
            place = Place("sqlite", str(folder / "log.sqlite"))
            scenery = Set(Stage(folder, near=place, far=place))
        async with open_log(scenery.stage.near) as opened:
            await opened.create(TOPICS)
        yield scenery


@asynccontextmanager
async def _broker(folder: Path) -> AsyncIterator[Set]:
    """A broker of this run alone, with a proxy before one of its two doors."""
    async with open_proxy() as proxy:
        kafka = MavenKafka(folder, jars=artifacts(), proxy_port=proxy.port)
        proxy.target_port = kafka.proxied_port
        kafka.start()
        try:
            await kafka.ready()
            near = Place("kafka", kafka.bootstrap, PREFIX)
            far = Place("kafka", f"127.0.0.1:{proxy.port}", PREFIX)
            yield Set(Stage(folder, near, far), kafka, proxy)
        finally:
            kafka.stop()


def processor_command(place: Place) -> tuple[str, ...]:
    """Return how a processor is started; its name is still to follow."""
    return ("tests.chaos.victim", place.kind, place.address, place.prefix)


async def run(plan: Plan, folder: Path, say: Say) -> Verdict:
    """Carry a plan out in a folder; ``say`` is told how it went."""
    async with setting(plan.log, folder) as scenery:
        near = scenery.stage.near
        async with watching(near) as watcher, open_fleet(folder) as fleet:
            notes = folder / "acknowledged.jsonl"
            scene = await _scene(plan, scenery, fleet, notes)
            trouble = Trouble(scene)
            findings = await _carried_out(plan, scene, trouble, watcher, near)
        for row in table(trouble.done, watcher.commits_s):
            say(row)
        say(
            f"killed {fleet.counts.killed}, starts without a log {fleet.counts.starts_refused}"
        )
        started_s = asyncio.get_running_loop().time()
        judgement = await judged(near, watcher, notes)
        took_s = asyncio.get_running_loop().time() - started_s
        say(f"judged in {took_s:.1f} s")
    findings = [*findings, *fleet.counts.findings]
    for finding in [*findings, *judgement.findings]:
        say(f"FINDING {finding}")
    faults = len(trouble.done)
    return Verdict(plan.log, plan.seed, plan.minutes, faults, judgement, findings)


async def _scene(plan: Plan, scenery: Set, fleet: Fleet, notes: Path) -> Scene:
    stage = scenery.stage
    processor = processor_command(stage.far)
    await fleet.scale(1, *processor)
    return Scene(
        fleet=fleet,
        writer=_writer(plan, stage, fleet, notes),
        processor=processor,
        broker=scenery.broker,
        proxy=scenery.proxy,
    )


def _writer(plan: Plan, stage: Stage, fleet: Fleet, notes: Path) -> Kept:
    near = stage.near
    told = (str(plan.seed), str(now_ms()), str(notes))
    command = ("tests.chaos.writer", near.kind, near.address, near.prefix, *told)
    return fleet.keep("writer", *command)


async def _carried_out(
    plan: Plan, scene: Scene, trouble: Trouble, watcher: Watcher, near: Place
) -> list[str]:
    """Make the trouble, let all be folded, and stop; return what went wrong in that."""
    try:
        async with asyncio.timeout(_FIRST_LIMIT_S):
            await watcher.folded(dict.fromkeys(partitions(*RAW), 1))
        ends_s = asyncio.get_running_loop().time() + plan.minutes * 60
        await trouble.make(plan.faults)
        await asyncio.sleep(max(_TAIL_S, ends_s - asyncio.get_running_loop().time()))
        await scene.writer.stop()
        async with asyncio.timeout(_FOLDED_LIMIT_S), open_log(near) as log:
            await settled(log, watcher, scene.fleet)
    except TimeoutError:
        return [f"stuck: folded up to {watcher.ends}"]
    return []


async def settled(log: EventLog, watcher: Watcher, fleet: Fleet) -> None:
    """Wait until all that stands is folded, stop the processors, see the last of it."""
    await watcher.folded(await log.ends(partitions(*RAW)))
    await fleet.scale(0)
    await watcher.read_to(await log.ends(partitions(*WATCHED)))
