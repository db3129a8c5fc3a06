"""The price sources: kraxel, stxtools and invest."""

from aiohttp import web

from .answers import answer, flag, number, stage_of
from .core import listings

_STXTOOLS_SIZE = 20
_INVEST_LIMIT = 50


def routes() -> list[web.RouteDef]:
    """Return the routes below ``/kraxel``, ``/stxtools`` and ``/invest``."""
    return [
        web.get("/kraxel/api/prices", _kraxel),
        web.get("/stxtools/tokens", _stxtools),
        web.get("/invest/api/v1/prices", _invest_prices),
        web.get("/invest/api/v1/tokens/all", _invest_tokens),
    ]


async def _kraxel(request: web.Request) -> web.Response:
    stage = stage_of(request)
    return answer(listings.kraxel(stage.world, stage.market))


async def _stxtools(request: web.Request) -> web.Response:
    stage = stage_of(request)
    body = listings.stxtools(
        stage.world,
        stage.market,
        page=number(request, "page", 0),
        size=number(request, "size", _STXTOOLS_SIZE, least=1),
    )
    return answer(body)


async def _invest_prices(request: web.Request) -> web.Response:
    stage = stage_of(request)
    limit = number(request, "limit", _INVEST_LIMIT, least=1)
    body = listings.invest_prices(
        stage.world, stage.market, limit=limit, moved_at_ms=stage.moved_at_ms
    )
    return answer(body)


async def _invest_tokens(request: web.Request) -> web.Response:
    stage = stage_of(request)
    pricing = flag(request, "includePricing")
    body = listings.invest_tokens(
        stage.world, stage.market, pricing=pricing, moved_at_ms=stage.moved_at_ms
    )
    return answer(body)
