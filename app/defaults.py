"""Defaults that follow from other settings: what is used, and what the help of each says.

``app.sections`` puts them into the descriptions of the settings and ``app.configs`` uses
them, so that the generated page cannot say anything else than what is done.
"""

from dataclasses import dataclass

SQLITE_PARTITIONS, BROKER_PARTITIONS = 2, 6
PRODUCTION_REPLICATION, DEVELOPMENT_REPLICATION = 3, 1
PRODUCTION_DRAIN_S, DEVELOPMENT_DRAIN_S = 10, 0
# In a simulated world nobody reads history for long; a laptop's disk is small.
SIMULATED_AUDIT_DAYS = 2
# Prices that no source has confirmed for as many intervals are old.
OLD_INTERVALS = 2

HIRO_URL = "https://api.hiro.so"
PUSH_PATH = "/extended/v1/ws"
KRAXEL_URL = "https://www.kraxel.io"
STXTOOLS_URL = "https://api.stxtools.io"
INVEST_URL = "https://invest.charisma.rocks"
TOKENS_URL = "https://tokens.charisma.rocks"


@dataclass(frozen=True, slots=True)
class Upstreams:
    """How upstreams are treated unless the settings say otherwise."""

    price_sources: tuple[str, ...]
    first_price_s: float
    price_interval_s: float
    balance_interval_s: float
    token_interval_s: float
    cold_s: float
    per_second: int
    source_per_minute: int


LIVE = Upstreams(
    price_sources=("stxtools", "internal"),
    first_price_s=3,
    price_interval_s=300,
    balance_interval_s=300,
    token_interval_s=900,
    cold_s=3_600,
    per_second=20,
    source_per_minute=60,
)
SIMULATED = Upstreams(
    price_sources=("kraxel", "stxtools", "internal"),
    first_price_s=0.3,
    price_interval_s=15,
    balance_interval_s=5,
    token_interval_s=60,
    cold_s=30,
    per_second=1_000,
    source_per_minute=6_000,
)
HIRO_PER_MINUTE_SIMULATED = 60_000
HIRO_PER_MINUTE_WITH_KEY, HIRO_PER_MINUTE_WITHOUT = 500, 25
HIRO_PER_MONTH_WITH_KEY = 150_000

PRODUCTION_CONNECTIONS_EACH = 200
PRODUCTION_HTTP_BYTES_PER_S = 4_194_304
