"""Bodies of requests: nobody reads one, and none may cost the edge anything."""

import asyncio
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import pytest

from edge.config import Access
from tests.support.serving import LONG_S, Serving, serving, two_prices

LONG_BYTES = 10_000_000
GZIP = 31


class Upload(NamedTuple):
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def head(self) -> str:
        """Return the head of the answer, in lower case, whatever is still to be sent."""
        async with asyncio.timeout(LONG_S):
            return (await self.reader.readuntil(b"\r\n\r\n")).decode().lower()

    async def is_ended(self) -> bool:
        """Read on; tell whether the connection ends by itself."""
        async with asyncio.timeout(LONG_S):
            with suppress(ConnectionError):
                await self.reader.read()
        return True


@asynccontextmanager
async def upload(running: Serving, request: str) -> AsyncIterator[Upload]:
    """Send the head of a request and leave its body to the test."""
    reader, writer = await asyncio.open_connection("127.0.0.1", running.edge.port)
    writer.write(request.replace("\n", "\r\n").encode() + b"\r\n")
    try:
        yield Upload(reader, writer)
    finally:
        writer.transport.abort()


@pytest.mark.parametrize(
    "request_head",
    [
        f"POST /prices HTTP/1.1\nHost: x\nContent-Length: {LONG_BYTES}\n",
        "POST /prices HTTP/1.1\nHost: x\nTransfer-Encoding: chunked\n",
        f"GET /prices HTTP/1.1\nHost: x\nContent-Length: {LONG_BYTES}\n",
        f"PUT /nothing HTTP/1.1\nHost: x\nContent-Length: {LONG_BYTES}\n",
        f"OPTIONS /prices HTTP/1.1\nHost: x\nContent-Length: {LONG_BYTES}\n",
        "POST /prices HTTP/1.1\nHost: x\nContent-Length: 9\nExpect: 100-continue\n",
    ],
)
async def test_a_long_body_is_answered_before_it_comes_and_not_read(
    tmp_path: Path, request_head: str
) -> None:
    async with (
        serving(tmp_path, before=two_prices) as running,
        upload(running, request_head) as sent,
    ):
        head = await sent.head()
        # The whole answer, and no invitation to send the body (100).
        assert head.startswith(("http/1.1 200", "http/1.1 204", "http/1.1 404"))
        assert "connection: close\r\n" in head
        with suppress(ConnectionError):
            for _ in range(100):
                sent.writer.write(b"x" * 100_000)
                await sent.writer.drain()
        assert await sent.is_ended()
        assert sent.writer.transport.is_closing() or sent.reader.at_eof()


async def test_who_sends_nothing_of_its_body_is_let_go_after_a_while(
    tmp_path: Path,
) -> None:
    head = f"POST /prices HTTP/1.1\nHost: x\nContent-Length: {LONG_BYTES}\n"
    async with serving(tmp_path) as running, upload(running, head) as sent:
        assert (await sent.head()).startswith("http/1.1 200")
        await running.clock.until_asleep(1)
        await running.clock.advance(1)
        assert await sent.is_ended()


async def test_a_compressed_body_is_never_inflated(tmp_path: Path) -> None:
    packed = zlib.compressobj(9, zlib.DEFLATED, GZIP)
    body = b"".join(packed.compress(bytes(1 << 20)) for _ in range(64)) + packed.flush()
    assert len(body) < 70_000
    head = (
        "POST /prices HTTP/1.1\nHost: x\nContent-Encoding: gzip\n"
        f"Content-Length: {len(body)}\n"
    )
    access = Access(refresh_token="r")
    async with serving(tmp_path, access=access) as running:
        async with upload(running, head) as sent:
            sent.writer.write(body)
            assert (await sent.head()).startswith("http/1.1 401")
        # What is no gzip at all is no trouble either: nobody looks.
        async with upload(running, head) as sent:
            sent.writer.write(b"?" * len(body))
            assert (await sent.head()).startswith("http/1.1 401")


@pytest.mark.parametrize("late", [False, True])
async def test_a_short_body_is_thrown_away_and_the_connection_kept(
    tmp_path: Path, late: bool
) -> None:
    post = "POST /prices HTTP/1.1\nHost: x\nContent-Length: 9\n"
    async with serving(tmp_path) as running, upload(running, post) as sent:
        for _ in range(2):
            if not late:
                sent.writer.write(b"123456789")
            head = await sent.head()
            assert head.startswith("http/1.1 200")
            assert "connection: close" not in head
            await sent.reader.readuntil(b"}")
            if late:
                sent.writer.write(b"123456789")
            sent.writer.write((post + "\n").replace("\n", "\r\n").encode())


async def test_a_broken_body_leaves_no_trace_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    head = "POST /prices HTTP/1.1\nHost: x\nTransfer-Encoding: chunked\n"
    async with serving(tmp_path) as running, upload(running, head) as sent:
        sent.writer.write(b"no chunk\r\n\r\n")
        assert await sent.is_ended()
    assert [each.message for each in caplog.records if each.levelname == "ERROR"] == []
