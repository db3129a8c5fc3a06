"""Prices that move like prices, and what each source makes of them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache

from .draws import Draws, digest
from .world import STX, STX_USD, World

# The walk and a source's spread together stay within five percent of the base price.
WANDER = 0.048
_SPREAD = 0.0015
_STEP = 0.004
_LAGS_TICKS = {"kraxel": 0, "stxtools": 1, "invest": 2}
_REMEMBERED_TICKS = 1 + max(_LAGS_TICKS.values())
# One token in so many is not known to a source.
_MISSING_ONE_IN = 12
_DIGITS = 10


class Source(StrEnum):
    """Who publishes prices."""

    KRAXEL = "kraxel"
    STXTOOLS = "stxtools"
    INVEST = "invest"


@dataclass(frozen=True, slots=True)
class Market:
    """How far each price is from its base, now and some ticks ago, newest first."""

    tick: int
    factors: tuple[Mapping[str, float], ...]
    pins: Mapping[str, float]


def opening(world: World) -> Market:
    """Return the market before the first tick: every token at its base price."""
    factors = {STX: 1.0} | {token.contract_id: 1.0 for token in world.tokens}
    return Market(tick=0, factors=(factors,), pins={})


def advance(world: World, market: Market) -> Market:
    """Return the market one tick later: each price a small step up, down or nowhere."""
    tick = market.tick + 1
    draws = Draws(world.seed, "market", tick)
    moved = {
        contract_id: _step(factor, draws.unit(), draws.unit())
        for contract_id, factor in market.factors[0].items()
    }
    remembered = (moved, *market.factors[: _REMEMBERED_TICKS - 1])
    return replace(market, tick=tick, factors=remembered)


def pin(market: Market, contract_id: str, usd: float | None) -> Market:
    """Return a market in which every source quotes that price; `None` lets it go."""
    pins = {key: price for key, price in market.pins.items() if key != contract_id}
    return replace(market, pins=pins if usd is None else {**pins, contract_id: usd})


def base_usd(world: World, contract_id: str) -> float:
    """Return the price around which a mainnet token, or STX, wanders."""
    return STX_USD if contract_id == STX else world.contracts[contract_id].usd


def quotes(world: World, market: Market, source: Source) -> dict[str, float]:
    """Return what a source quotes: late, a little off, and not every token."""
    late = market.factors[min(_LAGS_TICKS[source], len(market.factors) - 1)]
    quoted: dict[str, float] = {}
    for contract_id, factor in late.items():
        if contract_id in market.pins:
            quoted[contract_id] = market.pins[contract_id]
            continue
        bias = _bias(world.seed, source, contract_id)
        if bias is not None:
            usd = base_usd(world, contract_id) * factor * (1 + bias)
            quoted[contract_id] = float(f"{usd:.{_DIGITS}g}")
    return quoted


def _step(factor: float, size: float, way: float) -> float:
    # Sums and products only: they are exact to the bit on every machine.
    moved = factor * (1 + _STEP * size * (2 * way - 1))
    return min(max(moved, 1 - WANDER), 1 + WANDER)


# Read for each row of each answer, and never another: worth remembering.
@lru_cache(maxsize=4_096)
def _bias(seed: int, source: Source, contract_id: str) -> float | None:
    """Return a source's spread on a token; `None` where it does not know the token."""
    chance, tilt = digest(seed, "bias", source, contract_id, size_bytes=2)
    if contract_id != STX and chance % _MISSING_ONE_IN == 0:
        return None
    return _SPREAD * (tilt - 127.5) / 127.5
