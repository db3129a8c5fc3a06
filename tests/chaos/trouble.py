"""Brings about the faults of a plan, one after another."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Protocol

from tests.chaos.fleet import Fleet, Kept
from tests.chaos.plan import MEDDLING, OF_A_START, Fault, Kind
from tests.support.kafka_proxy import KafkaProxy, Meddle, Meddling

_SETTLE_S = 2.0
_LOOK_S = 0.1
_DELAY_S = 2.5
_MEDDLES = {Kind.DELAY: Meddle.DELAY, Kind.CUT: Meddle.CUT, Kind.LOSE: Meddle.LOSE}


class Broker(Protocol):
    """What can be killed and started again."""

    def kill(self) -> None: ...

    async def restart(self) -> None: ...


@dataclass
class Scene:
    """All that a fault may be done to; a log in a file has no broker and no proxy."""

    fleet: Fleet
    writer: Kept
    processor: Sequence[str]
    broker: Broker | None = None
    proxy: KafkaProxy | None = None


@dataclass
class Done:
    """A fault that was brought about: when it began and was over, on the loop's clock.

    ``met`` counts what was meddled with.
    """

    fault: Fault
    began_s: float
    over_s: float = 0.0
    met: int = 0

    def pause_s(self, commits_s: Mapping[int, Sequence[float]]) -> float:
        """Return the longest time in which a shard made no commit, around the fault."""
        return max(
            (
                after - before
                for times in commits_s.values()
                for before, after in pairwise(times)
                if after > self.began_s and before < self.over_s + _SETTLE_S
            ),
            default=0.0,
        )


@dataclass
class Trouble:
    """The faults of a plan at a scene."""

    scene: Scene
    done: list[Done] = field(default_factory=list)

    async def make(self, faults: Sequence[Fault]) -> None:
        """Bring all of them about, each when it is due and the one before is over."""
        loop = asyncio.get_running_loop()
        started_s = loop.time()
        for fault in faults:
            await asyncio.sleep(max(0, started_s + fault.at_s - loop.time()))
            done = Done(fault, loop.time())
            self.done.append(done)
            await self._make(fault, done)
            done.over_s = loop.time()

    async def _make(self, fault: Fault, done: Done) -> None:
        if fault.kind in MEDDLING:
            await self._meddle(fault, done)
            return
        ways: dict[Kind, Callable[[Fault], Awaitable[None]]] = {
            Kind.KILL_PROCESSOR: self._kill_processor,
            Kind.STOP_PROCESSOR: self._stop_processor,
            Kind.SCALE: self._scale,
            Kind.KILL_WRITER: self._kill_writer,
            Kind.KILL_BROKER: self._kill_broker,
        }
        await ways[fault.kind](fault)

    async def _kill_processor(self, fault: Fault) -> None:
        self.scene.fleet.picked(fault.pick).kill()

    async def _kill_writer(self, fault: Fault) -> None:
        self.scene.writer.kill()

    async def _stop_processor(self, fault: Fault) -> None:
        """Stop one for longer than its transaction may last; another takes over."""
        fleet = self.scene.fleet
        # A process stopped while it writes a file keeps all others from it.
        fleet.trouble()
        stopped = fleet.picked(fault.pick)
        stopped.signal(signal.SIGSTOP)
        try:
            await fleet.scale(2, *self.scene.processor)
            await asyncio.sleep(fault.lasts_s)
        finally:
            stopped.signal(signal.SIGCONT)
        fleet.trouble()
        await asyncio.sleep(_SETTLE_S)
        await fleet.scale(1, *self.scene.processor)

    async def _scale(self, fault: Fault) -> None:
        for count in (2, 3, 1):
            await self.scene.fleet.scale(count, *self.scene.processor)
            await asyncio.sleep(_SETTLE_S)

    async def _kill_broker(self, fault: Fault) -> None:
        broker = self.scene.broker
        assert broker is not None
        self.scene.fleet.trouble()
        broker.kill()
        await asyncio.sleep(fault.lasts_s)
        await broker.restart()
        self.scene.fleet.trouble()

    async def _meddle(self, fault: Fault, done: Done) -> None:
        """Meddle with answers until enough were met or the time is over."""
        self.scene.fleet.trouble()
        with self._meddling(fault) as meddling:
            if fault.request in OF_A_START:
                self.scene.fleet.picked(fault.pick).kill()
            for _ in range(round(fault.lasts_s / _LOOK_S)):
                if not meddling.left:
                    break
                await asyncio.sleep(_LOOK_S)
            done.met = meddling.met

    def _meddling(self, fault: Fault) -> AbstractContextManager[Meddling]:
        proxy, request = self.scene.proxy, fault.request
        assert proxy is not None
        assert request is not None
        how = _MEDDLES[fault.kind]
        return proxy.meddling(request.value, how, count=fault.count, delay_s=_DELAY_S)
