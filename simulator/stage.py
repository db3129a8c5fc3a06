"""What all handlers share: the world as it stands, the faults, who listens."""

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field

from aiohttp import web

from .config import SimulatorConfig
from .core import market, push
from .core.chain import Block, Ledger
from .core.faults import PING_KINDS, Fault, FaultPlan, Kind
from .core.genesis import holdings
from .core.limits import Spent
from .core.world import World, build

# A subscriber who lets so many frames wait is cut off, as a gateway would.
MAX_WAITING_FRAMES = 1_000
_MS = 1_000

Clock = Callable[[], float]


@dataclass(slots=True, eq=False)
class Listener:
    """One push socket: its subscriptions, and the frames that wait to be sent.

    Among the frames `None` stands for a ping.
    """

    cut_off: Callable[[], None]
    topics: push.Topics = ()
    answered_ping: bool = True
    waiting: asyncio.Queue[str | None] = field(
        default_factory=lambda: asyncio.Queue(MAX_WAITING_FRAMES)
    )

    def offer(self, frame: str | None) -> None:
        """Queue a frame; a listener too slow for it is cut off."""
        try:
            self.waiting.put_nowait(frame)
        except asyncio.QueueFull:
            self.cut_off()


class Stage:
    """The one mutable thing of the simulator; its calls never wait."""

    def __init__(self, config: SimulatorConfig, clock: Clock) -> None:
        self.config, self.clock = config, clock
        self.world: World = build(
            config.seed,
            network=config.network,
            tokens=config.tokens,
            subnets=config.subnets,
            accounts=config.accounts,
        )
        start = [holdings(self.world, at) for at in range(config.accounts)]
        self.ledger = Ledger(self.world, start, moves=config.moves_per_tick)
        self.market = market.opening(self.world)
        self.moved_at_ms = int(clock() * _MS)
        self.faults = FaultPlan(config.faults)
        self.requests: Counter[tuple[str, str]] = Counter()
        self.statuses: Counter[tuple[str, int]] = Counter()
        self.spent = Spent()
        self.listeners: list[Listener] = []
        self.stopping = asyncio.Event()

    @property
    def tick(self) -> int:
        """How often the market moved."""
        return self.market.tick

    def advance(self) -> None:
        """Let one tick pass: a block, and a move of the market."""
        self.moved_at_ms = int(self.clock() * _MS)
        self.market = market.advance(self.world, self.market)
        self.announce(self.ledger.advance())

    def announce(self, blocks: Iterable[Block]) -> None:
        """Tell the listeners of new blocks."""
        for block in blocks:
            self.publish(
                push.notifications(self.world, self.ledger, block, self.moved_at_ms)
            )

    def reorg(self, depth: int) -> tuple[str, ...]:
        """Take back blocks and hint at the accounts; return those."""
        owners = self.ledger.reorg(depth)
        self.publish(push.hints(self.world, self.ledger, owners))
        return owners

    def fault(self, upstream: str, path: str, among: Collection[Kind]) -> Fault | None:
        """Return the fault that strikes now, if one does, and count it."""
        struck, self.faults = self.faults.decide(upstream, path, among)
        return struck

    def ping(self, listener: Listener) -> None:
        """Ping one listener, who may lose subscriptions by it."""
        fault = self.fault("push", push.PATH, PING_KINDS)
        listener.topics = push.after_ping(
            listener.topics,
            answered=listener.answered_ping,
            fault=fault.kind if fault else None,
        )
        listener.answered_ping = False
        listener.offer(None)

    def publish(self, notifications: Iterable[push.Notification]) -> None:
        """Queue each frame for the listeners that subscribed to its topic."""
        wanting: dict[push.Topic, list[Listener]] = {}
        for listener in self.listeners:
            for topic in listener.topics:
                wanting.setdefault(topic, []).append(listener)
        for topic, frame in notifications if wanting else ():
            for listener in wanting.get(topic, ()):
                listener.offer(frame)


STAGE = web.AppKey("stage", Stage)
