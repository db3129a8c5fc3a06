"""Several processes of one service answer as one: each is asked, all is told."""

import asyncio
from collections.abc import Mapping
from functools import partial

import aiohttp
import orjson
from aiohttp import hdrs, web

from runtime.merging import merged_metrics, merged_reports
from runtime.serving import live, readiness

_ASK_LIMIT = aiohttp.ClientTimeout(total=2.0)
# Longer than who answers for all may wait for one that hangs: else it would never be heard.
_RELAY_LIMIT = aiohttp.ClientTimeout(total=4.0)
_TEXT = "text/plain; version=0.0.4; charset=utf-8"
_HERE = "http://127.0.0.1"


def routes(ports: Mapping[str, int]) -> list[web.RouteDef]:
    """Answer for processes of this machine, by name and port; each serves its own.

    ``/metrics`` labels each sample with its process. ``/health/ready`` is 200 while one
    of them is ready.
    """
    return [
        web.get("/metrics", partial(_metrics, ports)),
        web.get("/health/live", live),
        web.get("/health/ready", partial(_ready, ports)),
    ]


def relayed(port: int) -> list[web.RouteDef]:
    """Answer what the process at ``port`` of this machine answers for all.

    But for ``/health/live``, which is about whoever was asked.
    """
    return [
        web.get("/metrics", partial(_relay, port)),
        web.get("/health/live", live),
        web.get("/health/ready", partial(_relay, port)),
    ]


async def _metrics(ports: Mapping[str, int], request: web.Request) -> web.Response:
    answers = await _asked(ports, request.path)
    texts = {name: body.decode() for name, body in answers.items() if body is not None}
    body = merged_metrics(texts).encode()
    return web.Response(body=body, headers={hdrs.CONTENT_TYPE: _TEXT})


async def _ready(ports: Mapping[str, int], request: web.Request) -> web.Response:
    answers = await _asked(ports, request.path)
    merged = merged_reports(
        {
            name: None if body is None else orjson.loads(body)
            for name, body in answers.items()
        }
    )
    return readiness(merged.body, ready=merged.ready)


async def is_alive(port: int) -> bool:
    """Ask a process of this machine whether it lives; ``False`` without an answer."""
    async with aiohttp.ClientSession(timeout=_ASK_LIMIT) as http:
        return await _ask(http, port, "/health/live") is not None


async def _relay(port: int, request: web.Request) -> web.Response:
    try:
        async with (
            aiohttp.ClientSession(timeout=_RELAY_LIMIT) as http,
            http.get(f"{_HERE}:{port}{request.path}") as answer,
        ):
            headers = {hdrs.CONTENT_TYPE: answer.headers[hdrs.CONTENT_TYPE]}
            body = await answer.read()
            return web.Response(status=answer.status, body=body, headers=headers)
    except (aiohttp.ClientError, TimeoutError) as error:
        return web.Response(status=503, text=f"no answer for all: {error!r}")


async def _asked(ports: Mapping[str, int], path: str) -> dict[str, bytes | None]:
    """Ask all at once; ``None`` for who does not answer."""
    async with (
        aiohttp.ClientSession(timeout=_ASK_LIMIT) as http,
        asyncio.TaskGroup() as group,
    ):
        asking = {
            name: group.create_task(_ask(http, port, path), name=f"ask {name}")
            for name, port in ports.items()
        }
    return {name: task.result() for name, task in asking.items()}


async def _ask(http: aiohttp.ClientSession, port: int, path: str) -> bytes | None:
    try:
        async with http.get(f"{_HERE}:{port}{path}") as answer:
            return await answer.read()
    except (aiohttp.ClientError, TimeoutError):
        return None
