"""The price sources' answers: kraxel, stxtools and invest."""

from functools import lru_cache
from typing import Any, NamedTuple

from .draws import digest
from .market import Market, Source, base_usd, quotes
from .world import STX, STX_DECIMALS, STX_USD, Token, World

Body = dict[str, Any]

STX_TOKEN = Token(STX, "stx", "Stacks", "STX", STX_DECIMALS, STX_USD)
_SUPPLY = 1_000_000_000
# How far prices may have been from their base a week and a month ago.
_WEEK_OFF, _MONTH_OFF = 0.08, 0.2
_SBTC_USD = 99_000.0
# At or below a tenth a quote of invest is not worth reading; one token in so many is.
_LOW_CONFIDENCE = 0.05
_LOW_ONE_IN = 40


def kraxel(world: World, market: Market) -> Body:
    """Return its flat map; it says ``stx`` and knows no ``.stx``."""
    quoted = quotes(world, market, Source.KRAXEL)
    return {"stx" if key == STX else key: usd for key, usd in quoted.items()}


def stxtools(world: World, market: Market, *, page: int, size: int) -> Body:
    """Return one page of tokens; the price of one it has no market for is null."""
    quoted = quotes(world, market, Source.STXTOOLS)
    tokens = (STX_TOKEN, *world.tokens)[page * size : (page + 1) * size]
    rows = [
        _stxtools_row(world, token, quoted.get(token.contract_id)) for token in tokens
    ]
    return {"data": rows}


def invest_prices(
    world: World, market: Market, *, limit: int, moved_at_ms: int
) -> Body:
    """Return the `limit` quotes it is surest of, the surest first."""
    quoted = quotes(world, market, Source.INVEST)
    rows = [
        _invest_row(world.seed, token, quoted[token.contract_id], moved_at_ms)
        for token in (STX_TOKEN, *world.tokens)
        if token.contract_id in quoted
    ]
    rows.sort(key=lambda row: (-row["confidence"], row["tokenId"]))
    return {
        "status": "success",
        "data": rows[:limit],
        "metadata": {
            "count": len(rows[:limit]),
            "totalTokensAvailable": len(rows),
            "processingTimeMs": 12,
            "minConfidence": 0,
            "includeDetails": True,
        },
    }


def invest_tokens(
    world: World, market: Market, *, pricing: bool, moved_at_ms: int
) -> Body:
    """Return every mainnet token, priced if asked for; subnet tokens are not there."""
    quoted = quotes(world, market, Source.INVEST) if pricing else {}
    rows = [
        _invest_token(world.seed, token, quoted.get(token.contract_id), moved_at_ms)
        for token in (STX_TOKEN, *world.tokens)
    ]
    metadata = {"count": len(rows), "includePricing": pricing, "processingTimeMs": 12}
    return {"status": "success", "data": rows, "metadata": metadata}


def image(token: Token) -> str:
    """Return the address of a picture of a token."""
    return f"https://images.invalid/{token.symbol}.png"


def total_supply(token: Token) -> int:
    """Return the supply the registries tell, in units of the chain."""
    return int(_SUPPLY * 10**token.decimals)


def _stxtools_row(world: World, token: Token, usd: float | None) -> Body:
    supply = str(total_supply(token))
    activity = None if usd is None else _activity(world, token, usd)
    return {
        "contract_id": token.contract_id,
        "symbol": token.symbol,
        "name": token.name,
        "decimals": token.decimals,
        "description": None,
        "circulating_supply": supply,
        "total_supply": supply,
        "image_url": image(token),
        "tx_id": "",
        "sender_address": token.contract_id.partition(".")[0],
        "block_height": 1,
        "deployed_at": 0,
        "enabled": True,
        "header_image_url": None,
        "verified": False,
        "metrics": {
            "contract_id": token.contract_id,
            "holder_count": 100,
            "swap_count": None,
            "transfer_count": None,
            "price_usd": usd,
            "price_change_1d": activity and activity.change_1d,
            "price_change_7d": activity and activity.change_7d,
            "price_change_30d": activity and activity.change_30d,
            "liquidity_usd": None if usd is None else 25_000.0,
            "marketcap_usd": None if usd is None else usd * _SUPPLY,
            "volume_1h_usd": activity.hourly_usd if activity else 0,
            "volume_6h_usd": 6 * activity.hourly_usd if activity else 0,
            "volume_1d_usd": 24 * activity.hourly_usd if activity else 0,
            "volume_7d_usd": 168 * activity.hourly_usd if activity else 0,
        },
    }


class _Activity(NamedTuple):
    """How a token is traded: changes in percent, and dollars an hour."""

    change_1d: float
    change_7d: float
    change_30d: float
    hourly_usd: float


def _activity(world: World, token: Token, usd: float) -> _Activity:
    """Return made-up activity that fits the price.

    The world is told as if each price had been at its base a day ago, a little off it a
    week ago, and further off a month ago.
    """
    base = base_usd(world, token.contract_id)
    week, month, trade = digest(world.seed, "past", token.contract_id, size_bytes=3)
    return _Activity(
        change_1d=_change(usd, base),
        change_7d=_change(usd, base * (1 + _WEEK_OFF * (week - 127.5) / 127.5)),
        change_30d=_change(usd, base * (1 + _MONTH_OFF * (month - 127.5) / 127.5)),
        hourly_usd=float(10 * (trade + 1)),
    )


def _change(usd: float, before: float) -> float:
    return round((usd / before - 1) * 100, 4)


def _invest_row(seed: int, token: Token, usd: float, moved_at_ms: int) -> Body:
    confidence = _confidence(seed, token)
    return {
        "tokenId": token.contract_id,
        "symbol": token.symbol,
        "name": token.name,
        "decimals": token.decimals,
        "image": image(token),
        "description": f"{token.name} on Stacks",
        "usdPrice": usd,
        "sbtcRatio": usd / _SBTC_USD,
        "confidence": confidence,
        "lastUpdated": moved_at_ms,
        "totalLiquidity": 25_000.0,
        "isLpToken": False,
        "intrinsicValue": None,
        "marketPrice": usd,
        "priceDeviation": 0,
        "alternativePathCount": 2,
    }


def _invest_token(seed: int, token: Token, usd: float | None, moved_at_ms: int) -> Body:
    row: Body = {
        "contractId": token.contract_id,
        "symbol": token.symbol,
        "name": token.name,
        "decimals": token.decimals,
        "image": image(token),
        "isLpToken": False,
        "supply": total_supply(token),
    }
    if usd is None:
        return row
    return row | {
        "usdPrice": usd,
        "confidence": _confidence(seed, token),
        "marketPrice": usd,
        "totalLiquidity": 25_000.0,
        "lastUpdated": moved_at_ms,
    }


@lru_cache(maxsize=4_096)
def _confidence(seed: int, token: Token) -> float:
    high, low = digest(seed, "confidence", token.contract_id, size_bytes=2)
    if token.contract_id != STX and high % _LOW_ONE_IN == 0:
        return _LOW_CONFIDENCE
    return 0.5 + (256 * high + low) / 2**17
