"""Events behind middleware of Node that compresses whatever it may."""

import asyncio
import json
import shutil
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.support.event_stream import block_of
from tests.support.serving import CHA, LONG_S, Serving, price, serving, two_prices
from tests.support.shared_data import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

_FILES = ROOT / "tests" / "data" / "node_proxy"
_INSTALL_S = 120


@pytest.fixture
async def edge(tmp_path: Path) -> AsyncIterator[Serving]:
    async with serving(tmp_path, before=two_prices) as running:
        yield running


@pytest.fixture
async def proxy(edge: Serving, tmp_path: Path) -> AsyncIterator[str]:
    """Run the proxy; yield its URL."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("needs Node.js 18 or later with npm: apt install nodejs npm")
    folder = shutil.copytree(_FILES, tmp_path / "proxy")
    install = await asyncio.create_subprocess_exec(
        *(npm, "ci", "--no-audit", "--no-fund"), cwd=folder, stdout=PIPE, stderr=PIPE
    )
    async with asyncio.timeout(_INSTALL_S):
        _, error = await install.communicate()
    if install.returncode:
        lines = error.decode().splitlines()
        pytest.skip(f"needs the npm registry: {' '.join(lines[:2])}")
    process = await asyncio.create_subprocess_exec(
        *(node, "proxy.js", f"{edge.edge.port}"),
        cwd=folder,
        stdin=DEVNULL,
        stdout=PIPE,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(LONG_S):
            port = int(await process.stdout.readline())
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        await process.communicate()


@pytest.mark.parametrize("encodings", ["gzip", "gzip, deflate, br, zstd"])
async def test_events_arrive_at_once(proxy: str, edge: Serving, encodings: str) -> None:
    headers = {"accept": "text/event-stream", "accept-encoding": encodings}
    async with (
        httpx.AsyncClient(timeout=LONG_S, trust_env=False) as client,
        client.stream("GET", f"{proxy}/prices?tokens={CHA}", headers=headers) as answer,
    ):
        assert "content-encoding" not in answer.headers
        assert "no-transform" in answer.headers["cache-control"]
        text = ""
        versions = iter([2, 3])
        async for more in answer.aiter_text():
            text += more
            *blocks, text = text.split("\n\n")
            prices = [
                data["price"]
                for data in (block_of(block).data for block in blocks)
                if data is not None and data["type"] == "PRICE_UPDATE"
            ]
            if not prices:
                continue
            version = next(versions, None)
            if version is None:
                return
            # The next change is made once this one has arrived.
            await price(edge.log, CHA, f"{version}", version=version)
    raise AssertionError(f"the stream ended: {json.dumps(text)}")
