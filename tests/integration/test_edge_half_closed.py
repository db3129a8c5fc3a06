"""Clients that say that they send no more, and go on reading."""

import asyncio
from pathlib import Path

import pytest

from tests.support.raw_ws import TEXT, frame
from tests.support.serving import LONG_S, Serving, serving, two_prices

GET = b"GET %s HTTP/1.1\r\nHost: x\r\n%s\r\n"
EVENTS = b"Accept: text/event-stream\r\n"


async def told(running: Serving, sent: bytes) -> bytes:
    """Send bytes and the end with them; return all that is answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", running.edge.port)
    writer.write(sent)
    writer.write_eof()
    async with asyncio.timeout(LONG_S):
        answer = await reader.read()
    writer.close()
    return answer


@pytest.mark.parametrize("path", [b"/prices", b"/balances", b"/", b"/health/live"])
async def test_a_request_is_answered_whose_client_sends_no_more(
    tmp_path: Path, path: bytes
) -> None:
    async with serving(tmp_path) as running:
        answer = await told(running, GET % (path, b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert b"content-length: %d" % len(body) in head.lower()


async def test_each_of_several_requests_is_answered(tmp_path: Path) -> None:
    async with serving(tmp_path) as running:
        answer = await told(running, GET % (b"/prices", b"") + GET % (b"/no", b""))
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"HTTP/1.1 404 " in answer


async def test_a_stream_tells_what_there_is_and_ends(tmp_path: Path) -> None:
    async with serving(tmp_path, before=two_prices) as running:
        answer = await told(running, GET % (b"/prices", EVENTS))
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert b"SERVER_INFO" in answer
        assert b"PRICE_BATCH" in answer
        assert answer.endswith(b"\n\n")


@pytest.mark.parametrize(
    "sent", [b"", b"GET /prices HT", b"GET /prices HTTP/1.1\r\nHost: x\r\n"]
)
async def test_nobody_waits_for_the_rest_of_a_request(
    tmp_path: Path, sent: bytes
) -> None:
    async with serving(tmp_path, keepalive_s=1_000) as running:
        assert await told(running, sent) == b""


async def test_a_websocket_ends_with_its_client(tmp_path: Path) -> None:
    handshake = GET % (
        b"/prices",
        b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n",
    )
    async with serving(tmp_path) as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.edge.port)
        writer.write(handshake + frame(TEXT, b'{"type":"PING"}'))
        async with asyncio.timeout(LONG_S):
            await reader.readuntil(b"PONG")
            writer.write_eof()
            await reader.read()
        writer.close()
