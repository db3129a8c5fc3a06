"""A page in a headless Chromium, asked and driven over its debugging protocol."""

import asyncio
import base64
import itertools
import json
import re
import shutil
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
_QUIET = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
)
_LONG_S = 40.0
_LOOK_AGAIN_S = 0.05


@dataclass
class Page:
    """One page; ``said`` is what its console and the browser's refusals told."""

    _connection: ClientConnection
    said: list[str] = field(default_factory=list)
    _ids: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    async def call(self, method: str, **parameters: Any) -> Any:
        """Call the browser, and keep what it tells beside the answer."""
        number = next(self._ids)
        asked = {"id": number, "method": method, "params": parameters}
        await self._connection.send(json.dumps(asked))
        async with asyncio.timeout(_LONG_S):
            while True:
                message = json.loads(await self._connection.recv())
                if message.get("id") == number:
                    return message["result"]
                self._note(message)

    def _note(self, message: Any) -> None:
        parameters = message.get("params", {})
        match message.get("method"):
            case "Log.entryAdded":
                entry = parameters["entry"]
                self.said.append(f"{entry['text']} {entry.get('url', '')}")
            case "Runtime.exceptionThrown":
                self.said.append(json.dumps(parameters["exceptionDetails"]))
            case "Runtime.consoleAPICalled":
                self.said.append(json.dumps(parameters["args"]))
            case _:
                pass

    async def evaluate(self, expression: str) -> Any:
        """Return the value of an expression in the page."""
        found = await self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True
        )
        return found["result"].get("value")

    async def text(self, element: str) -> str:
        """Return what an element shows."""
        found = await self.evaluate(f"document.getElementById('{element}').innerText")
        return str(found)

    async def until(self, element: str, words: str) -> str:
        """Wait until an element shows some words; return all it shows then."""
        shown = ""
        with suppress(TimeoutError):
            async with asyncio.timeout(_LONG_S):
                while not re.search(words, shown := await self.text(element)):  # noqa: ASYNC110 - another process, which can only be asked
                    await asyncio.sleep(_LOOK_AGAIN_S)
        assert re.search(words, shown), f"{element} shows {shown!r}; {self.said}"
        return shown

    async def until_true(self, expression: str) -> None:
        """Wait until an expression is true in the page."""
        async with asyncio.timeout(_LONG_S):
            while not await self.evaluate(expression):  # noqa: ASYNC110 - another process, which can only be asked
                await asyncio.sleep(_LOOK_AGAIN_S)

    async def picture(self) -> bytes:
        """Return what the page looks like, as PNG."""
        found = await self.call("Page.captureScreenshot", format="png")
        return base64.b64decode(found["data"])


@asynccontextmanager
async def page_at(url: str, folder: Path, *flags: str) -> AsyncIterator[Page]:
    """Open a page in a browser of its own; skip the test where there is none."""
    browser = next(filter(None, map(shutil.which, _NAMES)), None)
    if browser is None:
        pytest.skip("needs Chromium: apt install chromium")
    options = (*_QUIET, *flags, f"--user-data-dir={folder}", "about:blank")
    process = await asyncio.create_subprocess_exec(
        browser, *options, stdout=PIPE, stderr=PIPE
    )
    try:
        port = await _port(process)
        async with httpx.AsyncClient(trust_env=False) as http:
            targets = (await http.get(f"http://127.0.0.1:{port}/json/list")).json()
        (address,) = (
            each["webSocketDebuggerUrl"] for each in targets if each["type"] == "page"
        )
        async with connect(address, max_size=None, proxy=None) as connection:
            page = Page(connection)
            for domain in ("Log", "Runtime", "Page"):
                await page.call(f"{domain}.enable")
            await page.call("Page.navigate", url=url)
            yield page
    finally:
        process.kill()
        await process.communicate()


async def _port(process: Process) -> str:
    assert process.stderr is not None
    async with asyncio.timeout(_LONG_S):
        async for line in process.stderr:
            found = re.search(rb"DevTools listening on ws://[^:]+:(\d+)/", line)
            if found:
                return found[1].decode()
    raise AssertionError("the browser has ended")
