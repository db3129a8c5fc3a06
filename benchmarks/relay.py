"""Stands between ingest and the simulator, to see when an answer was handed over."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from aiohttp import web

_PASSED_HEADERS = {"accept", "content-type", "if-none-match"}
_KEPT_HEADERS = ("content-type", "etag", "retry-after")


class Relay:
    """Passes requests on to ``simulator`` once that is known."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http
        self.simulator: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.url = ""
        self._awaited = b""
        self._seen_s: float | None = None

    def await_text(self, text: str) -> None:
        """Note when an answer that contains ``text`` is handed over for the first time."""
        self._awaited, self._seen_s = text.encode(), None

    @property
    def seen_s(self) -> float:
        """When it was, by ``time.perf_counter``."""
        if self._seen_s is None:
            raise AssertionError("the news came by another way than the relay")
        return self._seen_s

    async def handle(self, request: web.Request) -> web.Response:
        """Ask the simulator and answer as it does."""
        try:
            answer = await self._asked(request)
        except httpx.TransportError:  # it is being stopped
            return web.Response(status=502)
        headers = {
            name: answer.headers[name]
            for name in _KEPT_HEADERS
            if name in answer.headers
        }
        if self._seen_s is None and self._awaited in answer.content:
            self._seen_s = time.perf_counter()
        return web.Response(
            status=answer.status_code, body=answer.content, headers=headers
        )

    async def _asked(self, request: web.Request) -> httpx.Response:
        return await self._http.request(
            request.method,
            await asyncio.shield(self.simulator) + request.path_qs,
            content=await request.read(),
            headers={
                name: value
                for name, value in request.headers.items()
                if name.lower() in _PASSED_HEADERS
            },
        )


@asynccontextmanager
async def relay() -> AsyncIterator[Relay]:
    """Listen on a free port."""
    async with httpx.AsyncClient() as http:
        passing = Relay(http)
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", passing.handle)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            host, port = runner.addresses[0][:2]
            passing.url = f"http://{host}:{port}"
            yield passing
        finally:
            await runner.cleanup()
