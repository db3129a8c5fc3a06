"""Serves metrics and health of a process that has no HTTP of its own.

From the event loop of the process: one that hangs does not answer, which is what
``/health/live`` is for.
"""

from collections.abc import AsyncIterator
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
    runner = web.AppRunner(
        _application(health),
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


def _application(health: Health) -> web.Application:
    app = web.Application()
    app.add_routes(
        [
            web.get("/metrics", _metrics),
            web.get("/health/live", _live),
            web.get("/health/ready", partial(_ready, health)),
        ]
    )
    return app


async def _metrics(request: web.Request) -> web.Response:
    del request
    body, content_type = render()
    return web.Response(body=body, headers={hdrs.CONTENT_TYPE: content_type})


async def _live(request: web.Request) -> web.Response:
    """Answer as long as the loop turns."""
    del request
    return web.Response(text="live")


async def _ready(health: Health, request: web.Request) -> web.Response:
    del request
    report = health.report()
    return web.Response(
        body=orjson.dumps(report.body()),
        status=200 if report.ready else 503,
        content_type="application/json",
    )
