"""A page of another origin in a real browser: what it can read, and that it comes back."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from edge.config import Access, Allowances
from tests.support.browser import Page, page_at
from tests.support.deaf import metric
from tests.support.event_stream import streaming
from tests.support.serving import LONG_S, Serving, serving, two_prices

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

READ = """
async (url, options) => {
  const answer = await fetch(url, options);
  const body = answer.status === 304 ? null : await answer.json().catch(() => null);
  return {status: answer.status, retry: answer.headers.get("Retry-After"),
          tag: answer.headers.get("ETag"), error: body && body.error || null};
}
"""
LISTEN = """
(url, options) => new Promise((done) => {
  const seen = [], feed = new EventSource(url, options);
  feed.onopen = () => seen.push("open");
  feed.onerror = () => {
    seen.push(feed.readyState === EventSource.CLOSED ? "given up" : "coming back");
    if (feed.readyState === EventSource.CLOSED) done(seen);
  };
  feed.onmessage = (event) => {
    seen.push(JSON.parse(event.data).type);
    if (seen.at(-1) === "PRICE_BATCH") { feed.close(); done(seen); }
  };
})
"""


@asynccontextmanager
async def blank_page(folder: Path) -> AsyncIterator[Page]:
    """Open a page that has nothing in it, of an origin of its own."""

    async def serve(request: web.Request) -> web.Response:
        return web.Response(text="<!doctype html><p>page", content_type="text/html")

    app = web.Application()
    app.add_routes([web.get("/{any:.*}", serve)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
        async with page_at(url, folder) as page:
            yield page
    finally:
        await runner.cleanup()


async def does(page: Page, function: str, *arguments: Any) -> Any:
    """Call a function in the page and return what its promise gives."""
    asked = ", ".join(map(json.dumps, arguments))
    found = await page.call(
        "Runtime.evaluate",
        expression=f"({function})({asked})",
        awaitPromise=True,
        returnByValue=True,
    )
    assert "exceptionDetails" not in found, found
    return found["result"]["value"]


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Page]:
    async with blank_page(tmp_path / "browser") as opened:
        yield opened


async def test_a_page_reads_refusals_and_keeps_what_it_has(
    page: Page, tmp_path: Path
) -> None:
    access = Access(refresh_token="r")
    async with serving(tmp_path, before=two_prices, access=access) as running:
        at = f"http://{running.host}"
        first = await does(page, READ, f"{at}/prices")
        assert (first["status"], first["error"]) == (200, None)
        held = {"headers": {"If-None-Match": first["tag"]}, "cache": "no-store"}
        assert (await does(page, READ, f"{at}/prices", held))["status"] == 304
        for path, options, status in (
            ("/prices", {"method": "POST"}, 401),
            ("/nothing", {}, 404),
            ("/prices?token=stx", {}, 400),
            ("/health/ready", {"headers": {"X-Own": "1"}}, 200),
        ):
            assert (await does(page, READ, at + path, options))["status"] == status


async def test_a_page_reads_that_an_edge_is_full_and_its_stream_comes_back(
    page: Page, tmp_path: Path
) -> None:
    allowances = Allowances(connections_each=3)
    opened = serving(tmp_path, before=two_prices, allowances=allowances)
    async with opened as running, AsyncExitStack() as streams:
        for _ in range(3):
            await streams.enter_async_context(streaming(running))
        full = await does(page, READ, f"http://{running.host}/prices")
        assert (full["status"], full["retry"]) == (429, "10")
        before = await answered(running)
        listening = page.call(
            "Runtime.evaluate",
            expression=f"window.seen = ({LISTEN})('http://{running.host}/prices', {{}})",
        )
        await listening
        async with asyncio.timeout(LONG_S):
            while await answered(running) == before:
                pass
        await streams.aclose()
        seen = await does(page, "() => window.seen")
    assert seen[:2] == ["open", "coming back"]
    assert seen[-2:] == ["SERVER_INFO", "PRICE_BATCH"]


async def answered(running: Serving) -> float:
    """Return how many GETs of prices were answered with 200, in this process so far."""
    return await metric(
        running,
        'stacks_feed_http_requests_total{method="GET",route="/prices",status="200"}',
    )


async def test_only_an_origin_named_for_it_sends_credentials(
    page: Page, tmp_path: Path
) -> None:
    own = await does(page, "async () => location.origin")
    for named, can_read in (((), False), ((own,), True)):
        folder = tmp_path / f"log-{can_read}"
        folder.mkdir()
        opened = serving(folder, before=two_prices, origins_with_credentials=named)
        async with opened as running:
            url = f"http://{running.host}/prices"
            options = {"credentials": "include", "headers": {"X-Own": "1"}}
            reads = (
                "(...asked) => (" + READ + ")(...asked).then(() => true, () => false)"
            )
            assert await does(page, reads, url, options) is can_read
            seen = await does(page, LISTEN, url, {"withCredentials": True})
            assert (seen[-1] == "PRICE_BATCH") is can_read
