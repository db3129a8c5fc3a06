"""The log lines of a child process, read as they come."""

import asyncio
import json
from asyncio import StreamReader
from typing import Any

from tests.support.processes import LIMIT_S


class LogLines:
    """What a process and its children have said so far on one stream."""

    def __init__(self) -> None:
        self._lines: list[dict[str, Any]] = []
        self._more = asyncio.Event()

    async def read(self, stream: StreamReader) -> None:
        """Read until all who write to the stream have ended."""
        async for line in stream:
            self._lines.append(json.loads(line))
            self._more.set()

    def events(self, name: str) -> list[dict[str, Any]]:
        """Return the lines of one event."""
        return [line for line in self._lines if line["event"] == name]

    async def said(self, name: str, *, times: int) -> None:
        """Wait until an event has been said so often."""
        async with asyncio.timeout(3 * LIMIT_S):
            while len(self.events(name)) < times:
                self._more.clear()
                await self._more.wait()
