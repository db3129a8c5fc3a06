"""What every request passes before its handler: counts, limits, faults, refusals."""

from aiohttp import web
from aiohttp.typedefs import Handler

from .answers import BadRequest, answer, refusal, stage_of
from .core import limits
from .core.commands import BadCommand
from .core.faults import CONNECT_KINDS, HTTP_KINDS, Fault, Kind
from .core.push import PATH as PUSH_PATH
from .trouble import suffer

_HIRO, _PUSH, _ADMIN = "hiro", "push", "admin"


@web.middleware
async def counted(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Count a request when it comes, and its status when it is answered."""
    stage = stage_of(request)
    upstream, path = _target(request)
    if upstream == _ADMIN:
        return await handler(request)
    resource = request.match_info.route.resource
    pattern = path if resource is None else _below(resource.canonical)
    stage.requests[upstream, pattern] += 1
    response = await handler(request)
    stage.statuses[upstream, response.status] += 1
    return response


@web.middleware
async def limited(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Spend one of Hiro's requests, and refuse it beyond the limit if that is on."""
    stage = stage_of(request)
    if _target(request)[0] != _HIRO:
        return await handler(request)
    now_s = stage.clock()
    stage.spent = limits.spend(stage.spent, now_s=now_s)
    config = stage.config
    if not config.enforce_limit or stage.spent.requests <= config.requests_per_minute:
        return await handler(request)
    wait_s = limits.retry_after_s(stage.spent, now_s=now_s)
    fault = Fault(_HIRO, Kind.TOO_MANY, retry_after=str(wait_s))
    return await suffer(request, handler, fault)


@web.middleware
async def faulty(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let the fault strike that is meant for the request, if one is."""
    upstream, path = _target(request)
    among = CONNECT_KINDS if upstream == _PUSH else HTTP_KINDS
    if upstream == _ADMIN:
        return await handler(request)
    fault = stage_of(request).fault(upstream, path, among)
    if fault is None:
        return await handler(request)
    return await suffer(request, handler, fault)


@web.middleware
async def refusing(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn what a handler refuses into the upstream's error body."""
    stage = stage_of(request)
    try:
        return await handler(request)
    except BadRequest as error:
        return refusal(stage, 400, error.reason)
    except BadCommand as error:
        return answer({"error": str(error)}, status=400)
    except web.HTTPNotFound:
        reason = f"Route {request.method}:{_target(request)[1]} not found"
        return refusal(stage, 404, reason)


async def tell_limits(request: web.Request, response: web.StreamResponse) -> None:
    """Put the limit headers on every answer of Hiro's."""
    if _target(request)[0] == _HIRO:
        stage = stage_of(request)
        per_minute = stage.config.requests_per_minute
        response.headers.update(limits.headers(stage.spent, per_minute=per_minute))


def _target(request: web.Request) -> tuple[str, str]:
    """Return the upstream that a request is for, and the path below its base URL."""
    path = _below(request.path)
    upstream = request.path.split("/", 2)[1]
    return (_PUSH if (upstream, path) == (_HIRO, PUSH_PATH) else upstream), path


def _below(path: str) -> str:
    return "/" + path.lstrip("/").partition("/")[2]
