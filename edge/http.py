"""The table of routes: what answers which path of the port."""

from collections.abc import Awaitable, Callable
from functools import lru_cache

from aiohttp import hdrs, web

from edge import pages
from edge.core.origins import preflight
from edge.guard import Guard
from edge.parts import Parts
from edge.problems import VARY_NEGOTIATED, problem
from edge.resources import METHODS, PartyResource
from edge.uploads import expects_nothing
from runtime import serving, together
from runtime.metrics import HTTP_REQUESTS
from schemas.wire import Party

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

# Everything behind the party is the room, as with the servers of the base protocol; the
# addresses without a room came later.
_ROOM = r"{room:[\s\S]+}"
_BASE_PATHS: dict[Party, tuple[str, ...]] = {
    "prices": (f"/parties/prices/{_ROOM}", f"/parties/main/{_ROOM}", f"/party/{_ROOM}"),
    "balances": (f"/parties/balances/{_ROOM}",),
}
_NEW_PATHS: dict[Party, str] = {"prices": "/prices", "balances": "/balances"}
_READ_ONLY = "GET, HEAD, OPTIONS"
_COUNTED = frozenset(("GET", "HEAD", "POST", "OPTIONS", "PUT", "PATCH", "DELETE"))
# Of routes, methods and statuses together: more than there are.
_MOST_KINDS = 4_096


def application(parts: Parts, guard: Guard) -> web.Application:
    """Return the whole of what the port answers."""
    app = web.Application(middlewares=[guard.middleware(), _without_path])
    app.on_response_prepare.append(guard.dress)
    app.on_response_prepare.append(_count)
    app.add_routes(
        [
            *_parties(parts),
            _any_method(f"/parties/{{party}}/{_ROOM}", _no_party),
            *[_resource(each.path, _READ_ONLY, each.handler) for each in _told(parts)],
            *[_resource(path, _READ_ONLY, page) for path, page in pages.handlers()],
            _any_method(r"/{path:[\s\S]*}", _not_found),
        ]
    )
    return app


@web.middleware
async def _without_path(request: web.Request, handler: _Handler) -> web.StreamResponse:
    """Answer requests whose target is no path, which no route matches."""
    if request.method == hdrs.METH_CONNECT:
        allowed: dict[str, str] = {hdrs.ALLOW: METHODS}
        answer = problem(405, "method-not-allowed", "this is no proxy", allowed)
        # Whatever follows is no HTTP.
        answer.force_close()
        return answer
    if request.path == "*":  # of OPTIONS: the parser refuses it of others
        return _options(request, METHODS)
    return await handler(request)


def _told(parts: Parts) -> list[web.RouteDef]:
    """Return metrics and health: of all that share the port, whoever was asked."""
    together_port = parts.config.together_port
    if together_port is None:
        return serving.routes(parts.health)
    return together.relayed(together_port)


def _parties(parts: Parts) -> list[web.RouteDef]:
    routes = []
    for party, paths in _BASE_PATHS.items():
        base = PartyResource(party, parts, strict=False)
        routes += [_resource(path, METHODS, base.serve) for path in paths]
        new = PartyResource(party, parts, strict=True)
        routes.append(_resource(_NEW_PATHS[party], METHODS, new.serve))
    return routes


def _resource(path: str, methods: str, handler: _Handler) -> web.RouteDef:
    """Return the route of a resource that has some methods, ``OPTIONS`` among them."""
    served = frozenset(methods.split(", "))

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.method == hdrs.METH_OPTIONS:
            return _options(request, methods)
        if request.method not in served:
            allowed = {hdrs.ALLOW: methods, **VARY_NEGOTIATED}
            return problem(405, "method-not-allowed", "Method not allowed", allowed)
        return await handler(request)

    return _any_method(path, answer)


def _any_method(path: str, handler: _Handler) -> web.RouteDef:
    return web.route("*", path, handler, expect_handler=expects_nothing)


def _options(request: web.Request, methods: str) -> web.Response:
    asked = request.headers.get(hdrs.ACCESS_CONTROL_REQUEST_HEADERS)
    headers = {hdrs.ALLOW: methods, **preflight(methods, asked)}
    return web.Response(status=204, headers=headers)


async def _no_party(request: web.Request) -> web.Response:
    return _missing(request, f"Party {request.match_info['party']} not found")


async def _not_found(request: web.Request) -> web.Response:
    return _missing(request, "Not found")


def _missing(request: web.Request, message: str) -> web.Response:
    if hdrs.ACCESS_CONTROL_REQUEST_METHOD in request.headers:
        # A page can read that there is nothing only if it may ask.
        return _options(request, METHODS)
    return problem(404, "not-found", message)


async def _count(request: web.Request, response: web.StreamResponse) -> None:
    resource = request.match_info.route.resource
    route = resource.canonical if resource is not None else "none"
    method = request.method if request.method in _COUNTED else "other"
    _counting(route, method, response.status)()


@lru_cache(_MOST_KINDS)
def _counting(route: str, method: str, status: int) -> Callable[[], None]:
    return HTTP_REQUESTS.labels(route, method, f"{status}").inc
