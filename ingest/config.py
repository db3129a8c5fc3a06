"""What ingest must be told, as values."""

from dataclasses import dataclass, field

from ingest.core.budget import Limits
from ingest.core.schedule import Pace
from runtime.crash import OnStep, no_step
from schemas.ids import Network

# The sources of the token registry and of prices; the names are those in the records.
PRICE_SOURCES = ("kraxel", "stxtools", "internal")
# A page of 10,000 tokens, with all that they say of each.
STXTOOLS_BODY_BYTES = 16 * 1_048_576
_POLITE = Limits(per_minute=60)
_PACE = Pace(interval_s=300.0)


@dataclass(frozen=True, slots=True)
class Upstream:
    """One upstream: where it is, and how to treat it.

    ``timeout_s`` is for one request as a whole, ``attempts`` for one reading.
    ``max_body_bytes`` bounds an answer, as sent and as inflated: ten times what any
    list of theirs takes, but for the one of stxtools.
    """

    url: str
    limits: Limits = _POLITE
    timeout_s: float = 10.0
    attempts: int = 3
    max_body_bytes: int = 4 * 1_048_576


@dataclass(frozen=True, slots=True)
class PushConfig:
    """Hiro's WebSocket: ``url`` ``None`` switches it off.

    A connection without a block for ``pulse_s`` is taken for dead: their server can
    drop a subscription and keep the socket open. It is a hint and no more: however it
    fails, it is tried again, and nothing else notices.
    """

    url: str | None = "wss://api.hiro.so/extended/v1/ws"
    connections: int = 20
    pulse_s: float = 300.0
    open_timeout_s: float = 10.0
    max_message_bytes: int = 1_048_576


@dataclass(frozen=True, slots=True)
class IngestConfig:
    """Everything ingest must be told.

    ``generation`` is Hiro's balance API to read (1, 2 or 3); another one is read while it
    is gone (410). Only 1 has totals sent and received. ``readers`` bounds the readings in
    flight, ``buffer_records`` what may wait for the log. No source is called silent before
    ``silence_floor_s``. ``on_step`` is told each step of the work.
    """

    instance: str
    network: Network = Network.MAINNET
    hiro: Upstream = Upstream("https://api.hiro.so", Limits(25, per_second=20))
    kraxel: Upstream = Upstream("https://www.kraxel.io")
    stxtools: Upstream = Upstream(
        "https://api.stxtools.io", max_body_bytes=STXTOOLS_BODY_BYTES
    )
    invest: Upstream = Upstream("https://invest.charisma.rocks")
    tokens: Upstream = Upstream("https://tokens.charisma.rocks")
    push: PushConfig = PushConfig()
    api_key: str | None = field(default=None, repr=False)
    price_sources: tuple[str, ...] = ("stxtools", "internal")
    first_price_s: float = 3.0
    price_interval_s: float = 300.0
    pace: Pace = _PACE
    token_interval_s: float = 900.0
    metadata_interval_s: float = 21_600.0
    silence_floor_s: float = 60.0
    generation: int = 1
    internal_limit: int = 100
    watch_max: int = 10_000
    forget_after_s: float = 30 * 86_400.0
    forget_grace_s: float = 3_600.0
    rewrite_after_s: float = 86_400.0
    readers: int = 8
    buffer_records: int = 20_000
    batch_records: int = 1_000
    on_step: OnStep = no_step

    def __post_init__(self) -> None:
        """Refuse what no part could work with."""
        unknown = set(self.price_sources) - set(PRICE_SOURCES)
        if unknown:
            raise ValueError(
                f"no such price source: {', '.join(sorted(unknown))}; "
                f"there are {', '.join(PRICE_SOURCES)}"
            )
        if self.generation not in {1, 2, 3}:
            raise ValueError(f"no such generation of balances: {self.generation}")
