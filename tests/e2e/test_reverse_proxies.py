"""Each file of deploy/proxies, run by the real program: everything passes, restarts too."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from app.ports import free_port
from edge.config import Access, Allowances
from edge.core.addresses import networks
from eventlog.port import EventLog
from schemas.log import World
from stacks_feed_client import LinkOptions, Options, Price, Subscription
from stacks_feed_client import connect as connect_client
from tests.support.browser import page_at
from tests.support.event_stream import block_of
from tests.support.processes import happens
from tests.support.reverse_proxies import HOST, PROXIES, ReverseProxy, reverse_proxy
from tests.support.serving import (
    ANNE,
    CHA,
    LONG_S,
    MARKERS,
    WELSH,
    Listener,
    a_log,
    identity,
    price,
    serving_from,
    the_tokens,
    two_prices,
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(120),
    pytest.mark.parametrize("name", PROXIES),
]

EVENTS = {"accept": "text/event-stream"}
FOR_EACH_ADDRESS = 3


@asynccontextmanager
async def an_edge(log: EventLog, port: int = 0) -> AsyncIterator[int]:
    """Run an edge as in production, behind proxies of this machine; yield its port."""
    access = Access(proxies=networks([HOST]))
    allowances = Allowances(connections_each=FOR_EACH_ADDRESS)
    settings: dict[str, Any] = {
        "access": access,
        "allowances": allowances,
        "origins": ("https://app.example",),
    }
    async with serving_from(log, port=port, **settings) as serving:
        yield serving.edge.port


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[EventLog]:
    async with a_log(tmp_path) as opened:
        await identity(opened, World.LIVE)
        await the_tokens(opened)
        await two_prices(opened)
        for marker in MARKERS:
            await price(opened, marker, "1")
        yield opened


@pytest.fixture
async def proxy(
    name: str, log: EventLog, tmp_path: Path
) -> AsyncIterator[ReverseProxy]:
    """Run the proxy in front of one edge."""
    async with (
        an_edge(log) as port,
        reverse_proxy(name, tmp_path / name, [port]) as running,
    ):
        yield running


@asynccontextmanager
async def http(proxy: ReverseProxy) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(
        base_url=proxy.origin, verify=proxy.trust, timeout=LONG_S, trust_env=False
    ) as client:
        yield client


def websocket(proxy: ReverseProxy, path: str = "/prices", **settings: Any) -> connect:
    return connect(f"wss://{proxy.host}{path}", ssl=proxy.trust, proxy=None, **settings)


@asynccontextmanager
async def events(
    proxy: ReverseProxy, query: str = "", **headers: str
) -> AsyncIterator[AsyncIterator[str]]:
    """Open an event stream; yield its blocks as they arrive."""
    async with (
        http(proxy) as client,
        client.stream("GET", f"/prices{query}", headers=EVENTS | headers) as answer,
    ):
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield _blocks(answer)


async def _blocks(answer: httpx.Response) -> AsyncIterator[str]:
    pending = ""
    async for text in answer.aiter_text():
        pending += text
        while "\n\n" in pending:
            block, _, pending = pending.partition("\n\n")
            yield block


async def message(blocks: AsyncIterator[str], kind: str) -> dict[str, Any]:
    """Return the next message of a type; others are passed over."""
    async with asyncio.timeout(LONG_S):
        async for text in blocks:
            data = block_of(text).data
            if data is not None and data["type"] == kind:
                return data
    raise AssertionError("the stream ended")


async def until_answered(proxy: ReverseProxy, status: int) -> None:
    """Wait until the proxy has noticed that an edge has come, or that it has gone."""
    async with http(proxy) as client:

        async def is_answered() -> bool:
            return (await client.get("/prices")).status_code == status

        await happens(is_answered, LONG_S, f"{status} by way of the proxy")


async def test_a_page_of_the_public_host_connects_and_hears_changes(
    proxy: ReverseProxy, log: EventLog
) -> None:
    async with websocket(proxy, origin=proxy.origin) as connection:
        listener = Listener(connection)
        await listener.asks("SUBSCRIBE", contractIds=[CHA])
        await price(log, CHA, "7.25", version=2)
        assert (await listener.next())["price"] == 7.25


async def test_pages_of_origins_that_are_not_named_are_refused(
    proxy: ReverseProxy,
) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await websocket(proxy, origin="https://evil.example")
    assert refused.value.response.status_code == 403
    async with websocket(proxy, origin="https://app.example"):
        pass


async def test_events_arrive_at_once_whatever_encodings_a_client_accepts(
    proxy: ReverseProxy, log: EventLog
) -> None:
    encodings = {"accept-encoding": "gzip, deflate, br, zstd"}
    async with events(proxy, f"?tokens={CHA}", **encodings) as blocks:
        await message(blocks, "PRICE_UPDATE")
        await price(log, CHA, "7.25", version=2)
        assert (await message(blocks, "PRICE_UPDATE"))["price"] == 7.25


async def test_answers_are_tagged_and_conditional_requests_pass(
    proxy: ReverseProxy,
) -> None:
    async with http(proxy) as client:
        first = await client.get("/prices", params={"tokens": "stx"})
        tag = {"if-none-match": first.headers["etag"]}
        again = await client.get("/prices", params={"tokens": "stx"}, headers=tag)
        preflight = await client.options(
            "/prices",
            headers={
                "origin": "https://app.example",
                "access-control-request-method": "GET",
            },
        )
    assert first.json()["prices"][0]["contractId"] == "stx"
    assert (again.status_code, again.content) == (304, b"")
    assert preflight.is_success
    assert preflight.headers["access-control-allow-origin"] == "https://app.example"


async def test_limits_count_clients_and_not_the_proxy(proxy: ReverseProxy) -> None:
    clients = [f"127.0.0.{number}" for number in range(10, 16)]
    async with AsyncExitStack() as stack:
        for address in clients * FOR_EACH_ADDRESS:
            await stack.enter_async_context(
                websocket(proxy, local_addr=(address, 0), host=HOST)
            )
        with pytest.raises(InvalidStatus) as refused:
            await websocket(proxy, local_addr=(clients[0], 0), host=HOST)
        assert refused.value.response.status_code == 429


async def test_a_query_of_64_kilobytes_passes(proxy: ReverseProxy) -> None:
    longest = 127
    ids = [
        f"{ANNE}.{f't{number}-'.ljust(longest - len(ANNE), 'x')}"
        for number in range(499)
    ]
    query = ",".join([*ids, CHA])
    assert 63_000 < len(query) < 65_000
    async with http(proxy) as client:
        answer = await client.get(f"/prices?tokens={query}")
    assert answer.status_code == 200, answer.text
    assert [each["contractId"] for each in answer.json()["prices"]] == [CHA]
    async with events(proxy, f"?tokens={query}") as blocks:
        await message(blocks, "PRICE_UPDATE")


async def test_while_no_edge_is_up_clients_are_told_to_come_back(
    name: str, log: EventLog, tmp_path: Path
) -> None:
    port = free_port(HOST)
    async with reverse_proxy(name, tmp_path / name, [port]) as proxy:
        async with events(proxy, origin="https://app.example") as blocks:
            async with asyncio.timeout(LONG_S):
                assert block_of(await anext(blocks)).retry_ms == 3_000
        async with http(proxy) as client:
            stream = await client.get("/prices", headers=EVENTS)
            answer = await client.get("/prices")
        assert stream.headers["access-control-allow-origin"] == "*"
        assert "no-transform" in stream.headers["cache-control"]
        assert answer.status_code == 503
        assert answer.json()["error"] == "unavailable"
        assert answer.headers["retry-after"] == "3"
        assert answer.headers["access-control-allow-origin"] == "*"
        with pytest.raises(InvalidStatus):
            await websocket(proxy)

        async with an_edge(log, port):
            await until_answered(proxy, 200)
            async with events(proxy, f"?tokens={CHA}") as blocks:
                await message(blocks, "PRICE_UPDATE")


async def test_with_one_edge_of_two_gone_every_request_is_answered(
    name: str, log: EventLog, tmp_path: Path
) -> None:
    async with AsyncExitStack() as stack:
        second = await stack.enter_async_context(AsyncExitStack())
        one = await stack.enter_async_context(an_edge(log))
        two = await second.enter_async_context(an_edge(log))
        running = reverse_proxy(name, tmp_path / name, [one, two])
        proxy = await stack.enter_async_context(running)
        client = await stack.enter_async_context(http(proxy))
        await until_answered(proxy, 200)
        await second.aclose()
        for _ in range(20):
            assert (await client.get("/prices")).status_code == 200
            connection = await stack.enter_async_context(websocket(proxy))
            await connection.recv()
            await connection.close()


async def version_heard(updates: Subscription[str, Price], version: int) -> None:
    async with asyncio.timeout(LONG_S):
        async for update in updates:
            if update.value is not None and update.value.version == version:
                return


async def test_the_client_library_goes_on_over_restarts_of_a_lone_edge(
    name: str, log: EventLog, tmp_path: Path
) -> None:
    async with AsyncExitStack() as stack:
        edge = await stack.enter_async_context(AsyncExitStack())
        port = await edge.enter_async_context(an_edge(log))
        running = reverse_proxy(name, tmp_path / name, [port])
        proxy = await stack.enter_async_context(running)
        connected = connect_client(f"wss://{proxy.host}", options=_trusting(proxy))
        feed = await stack.enter_async_context(connected)
        updates = feed.subscribe(WELSH)
        for version in range(2, 5):
            await price(log, WELSH, f"{version}", version=version)
            await version_heard(updates, version)
            await edge.aclose()
            await edge.enter_async_context(an_edge(log, port))


async def test_an_event_source_of_a_browser_survives_the_restart_of_a_lone_edge(
    name: str, log: EventLog, tmp_path: Path
) -> None:
    async with AsyncExitStack() as edge:
        port = await edge.enter_async_context(an_edge(log))
        async with (
            reverse_proxy(name, tmp_path / name, [port]) as proxy,
            page_at(
                f"{proxy.origin}/health/live",
                tmp_path / "browser",
                "--ignore-certificate-errors",
            ) as page,
        ):
            await page.evaluate(
                "document.body.innerHTML = '<p id=prices></p>';"
                "const shown = document.getElementById('prices');"
                f"const source = new EventSource('/prices?tokens={CHA}');"
                "source.onmessage = event => { shown.innerText = event.data };"
            )
            await page.until("prices", "PRICE_UPDATE")
            await edge.aclose()
            # Long enough for the browser to be turned away by the proxy itself.
            await until_answered(proxy, 503)
            await page.until_true("source.readyState === 0")
            await edge.enter_async_context(an_edge(log, port))
            await price(log, CHA, "9.5", version=2)
            await page.until("prices", "9.5")


def _trusting(proxy: ReverseProxy) -> Options:
    """Come back at once, and trust the proxy's certificate."""
    return Options(draw=lambda: 0.0, link=LinkOptions(ssl=proxy.trust))
