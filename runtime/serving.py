"""Serves metrics and health of a process, beside its own HTTP or on a port for them alone.

From the event loop of the process: one that hangs does not answer, which is what
``/health/live`` is for.
"""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from functools import partial

import orjson
from aiohttp import hdrs, web

from runtime.health import Health
from runtime.metrics import render

_SHUTDOWN_S = 1.0


@asynccontextmanager
async def serving(health: Health, *, host: str, port: int) -> AsyncIterator[int]:
    """Serve ``/metrics``, ``/health/live`` and ``/health/ready``; yield the port.

    Port 0 takes a free one. Raises ``OSError`` when the port cannot be had.
    """
    async with served(routes(health), host=host, port=port) as found:
        yield found


def routes(health: Health) -> list[web.RouteDef]:
    """Return ``/metrics``, ``/health/live`` and ``/health/ready`` of this process."""
    return [
        web.get("/metrics", partial(_metrics, health)),
        web.get("/health/live", live),
        web.get("/health/ready", partial(_ready, health)),
    ]


@asynccontextmanager
async def served(
    answered: Iterable[web.RouteDef], *, host: str, port: int
) -> AsyncIterator[int]:
    """Serve some routes; yield the port. Raises ``OSError`` when it cannot be had."""
    app = web.Application()
    app.add_routes(answered)
    runner = web.AppRunner(
        app,
        access_log=None,
        handle_signals=False,
        shutdown_timeout=_SHUTDOWN_S,
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def _metrics(health: Health, request: web.Request) -> web.Response:
    del request
    health.measured()
    body, content_type = render(health.service)
    return web.Response(body=body, headers={hdrs.CONTENT_TYPE: content_type})


async def live(request: web.Request) -> web.Response:
    """Answer as long as the loop turns."""
    del request
    return web.Response(text="live")


async def _ready(health: Health, request: web.Request) -> web.Response:
    del request
    report = health.report()
    return readiness(report.body(), ready=report.ready)


def readiness(body: object, *, ready: bool) -> web.Response:
    """Return the answer of ``/health/ready``: 503 while a process is not."""
    return web.Response(
        body=orjson.dumps(body),
        status=200 if ready else 503,
        content_type="application/json",
    )
