"""The table of routes: what answers which path of the port."""

from collections.abc import Callable
from functools import lru_cache, partial

from aiohttp import hdrs, web

from edge import pages, resources
from edge.guard import Guard
from edge.parts import Parts
from runtime import serving, together
from runtime.metrics import HTTP_REQUESTS
from schemas.wire import Party

_PRICE_PATHS = (
    "/parties/prices/{room}",
    "/parties/main/{room}",
    "/party/{room}",
    "/prices",
)
_BALANCE_PATHS = ("/parties/balances/{room}", "/balances")
_COUNTED = frozenset(("GET", "HEAD", "POST", "OPTIONS", "PUT", "PATCH", "DELETE"))
# Of routes, methods and statuses together: more than there are.
_MOST_KINDS = 4_096
_TEXT = {hdrs.CONTENT_TYPE: "text/plain;charset=UTF-8"}


def application(parts: Parts, guard: Guard) -> web.Application:
    """Return the whole of what the port answers."""
    app = web.Application(middlewares=[guard.middleware()])
    app.on_response_prepare.append(_count)
    app.add_routes(
        [
            *_party("prices", _PRICE_PATHS, parts),
            *_party("balances", _BALANCE_PATHS, parts),
            web.route("*", "/parties/{party}/{room}", _no_party),
            *_told(parts),
            *pages.routes(),
            web.route("*", "/{path:.*}", _not_found),
        ]
    )
    return app


def _told(parts: Parts) -> list[web.RouteDef]:
    """Return metrics and health: of all that share the port, whoever was asked."""
    together_port = parts.config.together_port
    if together_port is None:
        return serving.routes(parts.health)
    return together.relayed(together_port)


def _party(party: Party, paths: tuple[str, ...], parts: Parts) -> list[web.RouteDef]:
    answer = partial(resources.serve, party, parts)
    return [web.route("*", path, answer) for path in paths]


async def _no_party(request: web.Request) -> web.Response:
    said = f"Party {request.match_info['party']} not found"
    return web.Response(status=404, body=said.encode(), headers=_TEXT)


async def _not_found(request: web.Request) -> web.Response:
    del request
    return web.Response(status=404, body=b"Not found", headers=_TEXT)


async def _count(request: web.Request, response: web.StreamResponse) -> None:
    resource = request.match_info.route.resource
    route = resource.canonical if resource is not None else "none"
    method = request.method if request.method in _COUNTED else "other"
    _counting(route, method, response.status)()


@lru_cache(_MOST_KINDS)
def _counting(route: str, method: str, status: int) -> Callable[[], None]:
    return HTTP_REQUESTS.labels(route, method, f"{status}").inc
