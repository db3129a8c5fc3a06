"""The JavaScript that docs/edge.md gives to pages, run as printed in a real browser."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from tests.support.balancer import balancing
from tests.support.browser import page_at
from tests.support.serving import LONG_S, price, serving, two_prices
from tests.support.shared_data import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

SCRIPTS = re.findall(
    r"```js\n(.*?)```", (ROOT / "docs" / "edge.md").read_text(), re.DOTALL
)
# The page's own function, which the snippet calls with each message.
SHOW = "window.shown = []; window.show = message => shown.push(message);"


@asynccontextmanager
async def refusing(status: int, refused: asyncio.Event) -> AsyncIterator[int]:
    """Answer everything with a status, as a proxy without an edge; yield the port."""

    async def refuse(request: web.Request) -> web.Response:
        refused.set()
        return web.Response(status=status, text="<h1>Bad Gateway</h1>")

    app = web.Application()
    app.add_routes([web.get("/{any:.*}", refuse)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def test_a_page_that_a_proxy_turned_away_for_good_goes_on_where_it_was(
    tmp_path: Path,
) -> None:
    (script,) = (text for text in SCRIPTS if "EventSource.CLOSED" in text)
    refused = asyncio.Event()
    url, folder = "http://127.0.0.1:{}/health/live", tmp_path / "browser"
    async with (
        serving(tmp_path, before=two_prices) as running,
        refusing(502, refused) as away,
        balancing(running.edge.port) as proxy,
        page_at(url.format(proxy.port), folder) as page,
    ):
        await page.evaluate(SHOW)
        await page.call("Runtime.evaluate", expression=script)
        await page.until_true("shown.some(message => message.type === 'PRICE_UPDATE')")
        proxy.ports = [away]
        proxy.cut()
        async with asyncio.timeout(LONG_S):
            await refused.wait()
        await page.evaluate("shown.length = 0")
        await price(running.log, ".stx", "7.5", version=2)
        proxy.ports = [running.edge.port]
        proxy.cut()
        await page.until_true("shown.some(message => message.price === 7.5)")
        shown = json.loads(await page.evaluate("JSON.stringify(shown)"))
    assert [message["type"] for message in shown] == [
        "SERVER_INFO",
        "SUBSCRIBED",
        "PRICE_UPDATE",
    ]
    assert shown[1]["recovered"] is True
    assert any("502 (Bad Gateway)" in line for line in page.said), page.said
