"""`health`: what a service answered, in one line and an exit code."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from aiohttp import web

from app import cli
from app.ports import free_port
from runtime.health import Health
from runtime.serving import serving


async def asked(url: str) -> int:
    return await asyncio.to_thread(cli.main, ["health", url])


@asynccontextmanager
async def a_service(health: Health) -> AsyncIterator[str]:
    async with serving(health, host="127.0.0.1", port=0) as port:
        yield f"http://127.0.0.1:{port}"


@asynccontextmanager
async def answering(body: bytes, status: int = 200) -> AsyncIterator[str]:
    async def answer(_: web.BaseRequest) -> web.Response:
        return web.Response(body=body, status=status)

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


async def test_a_ready_service_is_0_in_spite_of_warnings(
    capsys: pytest.CaptureFixture[str],
) -> None:
    health = Health()
    async with a_service(health) as url:
        assert await asked(url) == 0
        assert capsys.readouterr().out == "ready\n"
        health.warn("upstreams", lambda: "kraxel is left alone")
        assert await asked(f"{url}/health/ready") == 0
        assert capsys.readouterr().out == "ready; upstreams: kraxel is left alone\n"


async def test_a_service_that_is_not_ready_is_1_and_says_why_in_one_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    health = Health()
    health.add("log", lambda: "away,\nsays the\tdriver")
    health.add("table", lambda: "being read")
    async with a_service(health) as url:
        assert await asked(url) == 1
    said = capsys.readouterr().out
    assert said == "not ready; log: away, says the driver; table: being read\n"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"hello", 200),
        (b"[]", 200),
        (json.dumps({"ready": "yes", "reasons": []}).encode(), 200),
        (json.dumps({"ready": True}).encode(), 200),
        (b"gone", 503),
    ],
)
async def test_what_is_no_service_of_ours_is_1(
    capsys: pytest.CaptureFixture[str], body: bytes, status: int
) -> None:
    async with answering(body, status) as url:
        assert await asked(url) == 1
    assert capsys.readouterr().out == f"status {status}, no report of health\n"


async def test_a_report_that_comes_with_an_error_is_not_ready() -> None:
    body = json.dumps({"ready": True, "reasons": []}).encode()
    async with answering(body, 500) as url:
        assert await asked(url) == 1


async def test_where_nothing_listens_is_1(capsys: pytest.CaptureFixture[str]) -> None:
    url = f"http://127.0.0.1:{free_port('127.0.0.1')}"
    assert await asked(url) == 1
    assert capsys.readouterr().err == (
        f"stacks-feed health: {url}/health/ready: refused, nothing listens there\n"
    )


async def test_a_host_that_there_is_not_is_1(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert await asked("http://nowhere.invalid") == 1
    said = capsys.readouterr().err
    assert "the name of the host is not known" in said
    assert "Errno" not in said


@pytest.mark.parametrize(
    ("answer", "scheme", "said"),
    [
        (b"no http\r\n\r\n", "http", "does not speak HTTP"),
        (b"", "http", "closed without an answer"),
        (b"no tls", "https", "does not speak TLS"),
    ],
    ids=["no HTTP", "nothing", "no TLS"],
)
async def test_what_is_no_answer_is_1_and_said_in_words(
    capsys: pytest.CaptureFixture[str], answer: bytes, scheme: str, said: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        asking = asyncio.ensure_future(
            asked(f"{scheme}://127.0.0.1:{server.getsockname()[1]}")
        )
        connection, _ = await asyncio.to_thread(server.accept)
        with connection:
            await asyncio.to_thread(connection.recv, 1_000)
            connection.sendall(answer)
            with suppress(OSError):  # it may have hung up already
                connection.shutdown(socket.SHUT_WR)
            assert await asking == 1
    told = capsys.readouterr().err
    assert said in told
    assert told.count("\n") == 1


@pytest.mark.parametrize("url", ["127.0.0.1:1999", "ftp://x", "http://", "http://x:y"])
async def test_what_is_no_address_is_2(
    capsys: pytest.CaptureFixture[str], url: str
) -> None:
    assert await asked(url) == 2
    assert "no http:// or https:// address" in capsys.readouterr().err
