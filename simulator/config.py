"""What the simulator must be told."""

from dataclasses import dataclass
from typing import Literal

from .core.faults import Fault
from .core.world import Network


@dataclass(frozen=True, slots=True)
class SimulatorConfig:
    """The seed, the size of the world, and where to listen.

    `tick_s` is the time between two blocks, which are also the moves of the market;
    0 leaves them to ``POST /admin/tick``. `error_style` is the generation of Hiro's
    API whose error bodies are sent.
    """

    seed: int = 1
    host: str = "127.0.0.1"
    port: int = 0
    network: Network = "mainnet"
    tokens: int = 200
    subnets: int = 10
    accounts: int = 10_000
    moves_per_tick: int = 50
    tick_s: float = 3.0
    ping_s: float = 5.0
    requests_per_minute: int = 30_000
    enforce_limit: bool = False
    error_style: Literal["v7", "v8"] = "v8"
    faults: tuple[Fault, ...] = ()
