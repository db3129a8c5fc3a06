"""Pages of other origins: every answer can be read by those that may, in every state."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from edge.config import Access, Allowances
from edge.service import running as running_edge
from runtime.health import Health
from schemas.log import World
from tests.support.event_stream import Block, streaming
from tests.support.held_log import HeldLog
from tests.support.serving import (
    LONG_S,
    NOW_MS,
    PARTITIONS,
    Serving,
    StallingClock,
    a_log,
    config_of,
    identity,
    serving,
    two_prices,
)

PAGE, OTHER = "https://page.example", "https://other.example"
FROM_PAGE = {"Origin": PAGE}
EVENTS = {"Accept": "text/event-stream"}
PREFLIGHT = {
    "Access-Control-Request-Method": "GET",
    "Access-Control-Request-Headers": "if-none-match, sentry-trace",
}
VARY = {"accept", "accept-encoding", "origin"}
# What is asked of an edge, and what it answers when nothing is in the way.
REQUESTS: list[tuple[str, str, int]] = [
    ("GET", "/prices", 200),
    ("HEAD", "/prices", 200),
    ("POST", "/prices", 401),
    ("PUT", "/prices", 405),
    ("GET", "/prices?token=stx", 400),
    ("GET", "/prices?since=nonsense", 400),
    ("GET", "/balances?users=a,b,c,d", 400),
    ("GET", "/parties/foo/main", 404),
    ("GET", "/nothing", 404),
    ("GET", "/health/live", 200),
    ("GET", "/health/ready", 200),
    ("GET", "/metrics", 401),
    ("TRACE", "/metrics", 405),
    ("TRACE", "/health/live", 405),
    ("GET", "/", 200),
    ("POST", "/", 405),
    ("GET", "/openapi.json", 200),
]
SETTINGS: dict[str, Any] = {
    "access": Access(metrics_token="m", refresh_token="r"),
    "allowances": Allowances(ids_per_message=3),
}


def readable(answer: httpx.Response, *, allowed: str | None) -> None:
    """Hold an answer to what a browser needs to let a page read it."""
    headers = answer.headers
    assert headers.get("access-control-allow-origin") == allowed, answer.request.url
    if allowed is not None:
        exposed = headers["access-control-expose-headers"]
        assert {"ETag", "Retry-After", "Feed-Cursor"} < set(exposed.split(", "))
    if allowed != "*":
        assert "origin" in headers["vary"].lower()
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["server"] == "stacks-feed"


@pytest.mark.parametrize(("method", "path", "status"), REQUESTS)
@pytest.mark.parametrize(
    ("origins", "allowed"), [(("*",), "*"), ((PAGE,), PAGE), ((OTHER,), None)]
)
async def test_every_answer_tells_the_page_whether_it_may_read_it(
    tmp_path: Path,
    method: str,
    path: str,
    status: int,
    origins: tuple[str, ...],
    allowed: str | None,
) -> None:
    opened = serving(tmp_path, before=two_prices, origins=origins, **SETTINGS)
    async with opened as running, running.http() as http:
        answer = await http.request(method, path, headers=FROM_PAGE)
        assert answer.status_code == status
        # What describes the edge to programs may be read by anybody.
        is_document = path == "/openapi.json" and allowed is None
        readable(answer, allowed="*" if is_document else allowed)
        if status >= 400:
            assert answer.headers["content-type"] == "application/json"
            if method != "HEAD":
                assert answer.json().keys() == {"error", "message"}


@pytest.mark.parametrize("path", sorted({path for _, path, _ in REQUESTS}))
async def test_every_address_answers_a_preflight(tmp_path: Path, path: str) -> None:
    opened = serving(tmp_path, origins=(PAGE,), **SETTINGS)
    async with opened as running, running.http() as http:
        answer = await http.options(path, headers=FROM_PAGE | PREFLIGHT)
        assert (answer.status_code, answer.content) == (204, b"")
        readable(answer, allowed=PAGE)
        may_send = answer.headers["access-control-allow-headers"]
        assert {"If-None-Match", "Last-Event-ID", "sentry-trace"} < set(
            may_send.split(", ")
        )
        assert "GET" in answer.headers["access-control-allow-methods"]


@asynccontextmanager
async def full(folder: Path, **allowed: Any) -> AsyncIterator[Serving]:
    """Run an edge that has no room for another connection."""
    allowances = Allowances(**allowed)
    opened = serving(folder, before=two_prices, origins=(PAGE,), allowances=allowances)
    async with opened as running, AsyncExitStack() as streams:
        for _ in range(3):
            stream = await streams.enter_async_context(streaming(running))
            await stream.next()
        yield running


@pytest.mark.parametrize(
    ("allowed", "status"),
    [({"connections_each": 3}, 429), ({"connections": 3}, 503)],
)
async def test_a_full_edge_can_be_read_by_pages_too(
    tmp_path: Path, allowed: dict[str, int], status: int
) -> None:
    async with full(tmp_path, **allowed) as running, running.http() as http:
        answer = await http.get("/prices", headers=FROM_PAGE)
        assert (answer.status_code, answer.headers["retry-after"]) == (status, "10")
        assert answer.json()["error"] == "too-many-connections"
        readable(answer, allowed=PAGE)
        asked = await http.options("/prices", headers=FROM_PAGE | PREFLIGHT)
        assert asked.status_code == 204
        readable(asked, allowed=PAGE)
        for path in ("/health/live", "/metrics"):
            readable(await http.get(path, headers=FROM_PAGE), allowed=PAGE)


async def test_a_stream_turned_away_can_be_read_like_one_that_is_served(
    tmp_path: Path,
) -> None:
    async with (
        full(tmp_path, connections_each=4) as running,
        streaming(running, headers=FROM_PAGE) as served,
    ):
        await served.next()
        async with streaming(running, headers=FROM_PAGE) as away:
            assert (await away.block()).retry_ms is not None
    assert away.head.startswith("http/1.1 200 ok")
    assert f"access-control-allow-origin: {PAGE}" in away.head

    def lines(head: str) -> set[str]:
        return {each for each in head.split("\r\n") if not each.startswith("date:")}

    assert lines(away.head) == lines(served.head)
    assert "vary: accept, accept-encoding, origin\r\n" in away.head


async def test_an_edge_that_starts_can_be_read_by_pages(tmp_path: Path) -> None:
    async with a_log(tmp_path) as log:
        await identity(log, World.SIMULATED)
        held, clock = HeldLog(log), StallingClock(NOW_MS)
        held.free.clear()
        opened = running_edge(
            held.log, config_of(origins=(PAGE,)), partitions=PARTITIONS, clock=clock
        )
        async with opened as edge, Serving(log, edge, clock).http() as http:
            for method, path in (("GET", "/prices"), ("POST", "/balances")):
                answer = await http.request(method, path, headers=FROM_PAGE)
                assert answer.status_code == 503
                assert answer.json()["error"] == "unavailable"
                assert set(answer.headers["vary"].lower().split(", ")) >= VARY
                readable(answer, allowed=PAGE)
            ready = await http.get("/health/ready", headers=FROM_PAGE)
            assert ready.status_code == 503
            readable(ready, allowed=PAGE)
            running = Serving(log, edge, clock)
            async with streaming(running, headers=FROM_PAGE) as stream:
                assert f"access-control-allow-origin: {PAGE}" in stream.head
            asked = await http.options("/prices", headers=FROM_PAGE | PREFLIGHT)
            assert asked.status_code == 204


async def test_a_page_of_an_allowed_origin_is_told_that_it_has_the_answer(
    tmp_path: Path,
) -> None:
    opened = serving(tmp_path, before=two_prices, origins=(PAGE,))
    async with opened as running, running.http() as http:
        tag = (await http.get("/prices", headers=FROM_PAGE)).headers["etag"]
        held = await http.get("/prices", headers=FROM_PAGE | {"If-None-Match": tag})
    assert held.status_code == 304
    readable(held, allowed=PAGE)


@pytest.mark.parametrize("origins", [(), ("*",)])
async def test_an_origin_named_for_it_may_send_credentials(
    tmp_path: Path, origins: tuple[str, ...]
) -> None:
    opened = serving(
        tmp_path,
        before=two_prices,
        origins=origins,
        origins_with_credentials=(PAGE,),
    )
    async with opened as running, running.http() as http:
        for path in ("/prices", "/nothing", "/openapi.json"):
            answer = await http.get(path, headers=FROM_PAGE)
            readable(answer, allowed=PAGE)
            assert answer.headers["access-control-allow-credentials"] == "true"
            other = await http.get(path, headers={"Origin": OTHER})
            assert "access-control-allow-credentials" not in other.headers
            assert "origin" in other.headers["vary"].lower()
        asked = await http.options("/prices", headers=FROM_PAGE | PREFLIGHT)
        assert asked.headers["access-control-allow-credentials"] == "true"
        assert "*" not in asked.headers["access-control-allow-headers"]
        async with streaming(running, headers=FROM_PAGE) as stream:
            assert "access-control-allow-credentials: true" in stream.head
        url = f"ws://{running.host}/prices"
        async with connect(url, additional_headers=FROM_PAGE):
            pass


@pytest.mark.parametrize(
    ("origins", "origin", "is_admitted"),
    [
        ((), "own", True),
        ((), PAGE, False),
        ((PAGE,), PAGE, True),
        ((f"{PAGE}:443/",), PAGE, True),
        ((PAGE,), OTHER, False),
        ((PAGE,), "null", False),
        (("*",), OTHER, True),
    ],
)
async def test_one_rule_decides_about_answers_and_about_connections(
    tmp_path: Path, origins: tuple[str, ...], origin: str, is_admitted: bool
) -> None:
    opened = serving(tmp_path, before=two_prices, origins=origins)
    async with opened as running, running.http() as http:
        headers = {"Origin": f"http://{running.host}" if origin == "own" else origin}
        answer = await http.get("/prices", headers=headers)
        assert ("access-control-allow-origin" in answer.headers) is is_admitted
        opening = connect(f"ws://{running.host}/prices", additional_headers=headers)
        if is_admitted:
            async with opening:
                return
        with pytest.raises(InvalidStatus) as refused:
            await opening
        assert refused.value.response.status_code == 403
        assert b'"error":"origin-not-allowed"' in (refused.value.response.body or b"")


@pytest.mark.parametrize(
    "head",
    ["GET / HTTP/1.1\r\nno header", "GET * HTTP/1.1", "GET prices HTTP/1.1"],
    ids=["no header", "all of the server", "no path"],
)
async def test_even_what_is_no_http_is_answered_like_the_rest(
    tmp_path: Path, head: str
) -> None:
    async with serving(tmp_path, origins=("*",)) as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.edge.port)
        writer.write(f"{head}\r\n\r\n".encode())
        async with asyncio.timeout(LONG_S):
            answer = (await reader.read()).decode().lower()
        writer.close()
    assert " 400 " in answer
    for line in (
        "access-control-allow-origin: *",
        "content-type: application/json",
        "x-content-type-options: nosniff",
        "server: stacks-feed",
        '"error":"bad-request"',
    ):
        assert line in answer


TOO_LONG = {
    "an address": (f"GET /prices?tokens={'x' * 80_000} HTTP/1.1", 414, "uri-too-long"),
    "a very long address": (f"GET /{'x' * 300_000} HTTP/1.1", 414, "uri-too-long"),
    "a header": (
        f"GET / HTTP/1.1\r\nCookie: {'x' * 10_000}",
        431,
        "headers-too-large",
    ),
    "a name of a header": (
        f"GET / HTTP/1.1\r\n{'x' * 10_000}: 1",
        431,
        "headers-too-large",
    ),
    "many headers": ("GET / HTTP/1.1" + "\r\nx: 1" * 200, 431, "headers-too-large"),
}


@pytest.mark.parametrize(("head", "status", "error"), TOO_LONG.values(), ids=TOO_LONG)
@pytest.mark.parametrize(
    ("origins", "lines"),
    [
        (("*",), {"access-control-allow-origin: *"}),
        # Its own page is not known, as the head was not read to the end.
        ((PAGE,), {"vary: origin"}),
    ],
    ids=["all origins", "listed origins"],
)
async def test_a_head_that_is_too_long_is_refused_in_clear_words(
    tmp_path: Path,
    head: str,
    status: int,
    error: str,
    origins: tuple[str, ...],
    lines: set[str],
) -> None:
    async with serving(tmp_path, origins=origins) as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.edge.port)
        writer.write(f"{head}\r\nOrigin: {PAGE}\r\n\r\n".encode())
        async with asyncio.timeout(LONG_S):
            answer = (await reader.read()).decode()
        writer.close()
    head, _, body = answer.partition("\r\n\r\n")
    assert head.startswith(f"HTTP/1.0 {status} ")  # of a version that was not read
    assert lines <= set(head.lower().splitlines())
    said = json.loads(body)
    assert said["error"] == error
    assert re.search(r"(longer|more) than \d+", said["message"])


@pytest.mark.parametrize(
    ("origins", "allowed"), [((), None), (("*",), "*"), ((PAGE,), PAGE)]
)
async def test_a_failure_of_the_edge_itself_can_be_read_by_the_pages_that_may(
    tmp_path: Path, origins: tuple[str, ...], allowed: str | None
) -> None:
    health = Health("edge")
    # A bug: what is told of health must not raise.
    health.tell("bug", lambda: 1 // 0)
    opened = serving(tmp_path, origins=origins, health=health)
    async with opened as running, running.http() as http:
        answer = await http.get("/health/ready", headers=FROM_PAGE)
    assert answer.status_code == 500
    assert answer.json()["error"] == "internal"
    assert answer.headers["connection"] == "close"
    readable(answer, allowed=allowed)


TARGETS = {
    "all of the server": ("OPTIONS *", 204, None),
    "a tunnel": ("CONNECT edge.example:443", 405, "method-not-allowed"),
    "a tunnel to a path": ("CONNECT /prices", 405, "method-not-allowed"),
    "a whole address": ("GET http://edge.example/prices", 200, None),
    "a whole address of nothing": ("GET http://edge.example/no", 404, "not-found"),
    "a method of others": ("PROPFIND /prices", 405, "method-not-allowed"),
    "a method of others, of nothing": ("PROPFIND /nothing", 404, "not-found"),
}


@pytest.mark.parametrize(("target", "status", "error"), TARGETS.values(), ids=TARGETS)
async def test_every_form_of_a_target_is_answered_with_its_own_status_and_word(
    tmp_path: Path, target: str, status: int, error: str | None
) -> None:
    async with serving(tmp_path, origins=(PAGE,)) as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.edge.port)
        head = f"Host: edge.example\r\nOrigin: {PAGE}\r\nConnection: close"
        writer.write(f"{target} HTTP/1.1\r\n{head}\r\n\r\n".encode())
        async with asyncio.timeout(LONG_S):
            answer = (await reader.read()).decode()
        writer.close()
    head, _, body = answer.partition("\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ")
    assert f"Access-Control-Allow-Origin: {PAGE}\r\n" in f"{head}\r\n"
    if status in {204, 405}:
        assert "\r\nAllow: GET, HEAD, POST, OPTIONS\r\n" in f"{head}\r\n"
    if error is not None:
        assert json.loads(body)["error"] == error


async def test_a_handshake_that_is_none_is_told_as_json(tmp_path: Path) -> None:
    async with serving(tmp_path) as running, running.http() as http:
        headers = {"Upgrade": "websocket", "Connection": "Upgrade"} | FROM_PAGE
        answer = await http.get("/prices", headers=headers)
    assert answer.status_code == 400
    assert answer.json()["error"] == "bad-request"
    readable(answer, allowed="*")


async def test_a_stream_keeps_proxies_from_compressing_it(tmp_path: Path) -> None:
    async with serving(tmp_path) as running, streaming(running) as stream:
        assert "cache-control: no-store, no-transform\r\n" in stream.head


async def test_the_first_block_of_a_stream_has_a_message(tmp_path: Path) -> None:
    async with serving(tmp_path) as running, streaming(running) as stream:
        first = await stream.block()
    assert first != Block()
    assert first.retry_ms is not None
    assert first.data is not None
    assert first.data["type"] == "SERVER_INFO"
