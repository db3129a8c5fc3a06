"""Charisma's token registry, the one place that lists subnet tokens."""

from aiohttp import web

from .answers import answer, number, stage_of
from .core import registry
from .core.accounts import Body

_LIMIT = 50
_MAX_LIMIT = 500


def routes() -> list[web.RouteDef]:
    """Return the routes below ``/tokens``."""
    return [
        web.get("/tokens/api/v1/metadata", _metadata),
        web.get("/tokens/api/v1/sip10", _complete),
        web.get("/tokens/api/v1/sip10/{contract_id}", _one),
        web.get("/tokens/api/v1/sip10-paginated", _paginated),
    ]


async def _metadata(request: web.Request) -> web.Response:
    return answer(_records(request))


async def _complete(request: web.Request) -> web.Response:
    return answer(registry.complete(_records(request)))


async def _one(request: web.Request) -> web.Response:
    wanted = request.match_info["contract_id"]
    for record in _records(request):
        if record["contractId"] == wanted:
            return answer({"status": "success", "data": record})
    missing = {"status": "error", "error": "Not Found", "message": "Token not found"}
    return answer(missing, status=404)


async def _paginated(request: web.Request) -> web.Response:
    body = registry.paginated(
        registry.complete(_records(request)),
        page=number(request, "page", 1, least=1),
        limit=number(request, "limit", _LIMIT, least=1, most=_MAX_LIMIT),
        search=request.query.get("search"),
    )
    return answer(body)


def _records(request: web.Request) -> list[Body]:
    stage = stage_of(request)
    return registry.records(stage.world, stage.market, updated_at_ms=stage.moved_at_ms)
