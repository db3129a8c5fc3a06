"""What happens to who does too much: each limit with its error, status or close code."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from edge.config import Access, Allowances
from edge.core.addresses import networks
from edge.core.limits import Rate
from edge.door import most_connections
from tests.support.serving import (
    ANNE,
    BOB,
    CHA,
    LONG_S,
    Listener,
    Serving,
    demanded,
    serving,
    two_prices,
)

ERROR = "ERROR"
BALANCES = "/parties/balances/main"


def limited(**allowed: Any) -> dict[str, Any]:
    return {"allowances": Allowances(**allowed)}


async def rest(listener: Listener) -> list[str]:
    """Return the texts of the errors heard until the end."""
    heard = []
    with suppress(ConnectionClosed):
        while True:
            message = await listener.next()
            if message["type"] == ERROR:
                heard.append(message["message"])
    return heard


async def test_who_sends_too_much_is_told_and_closed(tmp_path: Path) -> None:
    settings = limited(messages=Rate(1, 5))
    async with (
        serving(tmp_path, **settings) as running,
        running.listener() as listener,
    ):
        for _ in range(50):
            await listener.send("PING")
        assert await rest(listener) == ["Too many messages"]
        assert await listener.closed() == (1008, "too many messages")


async def test_messages_within_the_rate_go_on_for_ever(tmp_path: Path) -> None:
    settings = limited(messages=Rate(1, 2))
    async with (
        serving(tmp_path, **settings) as running,
        running.listener() as listener,
    ):
        for _ in range(5):
            await listener.until_now()
            await running.clock.advance(1)


async def test_pings_of_the_protocol_count_as_messages(tmp_path: Path) -> None:
    settings = limited(messages=Rate(1, 5))
    async with (
        serving(tmp_path, **settings) as running,
        running.listener() as listener,
    ):
        with suppress(ConnectionClosed):
            for _ in range(50):
                _ = await listener.connection.ping()
        assert (await listener.closed())[0] == 1008


async def test_who_makes_too_many_mistakes_is_told_and_closed(tmp_path: Path) -> None:
    settings = limited(errors=Rate(0.1, 2))
    async with (
        serving(tmp_path, **settings) as running,
        running.listener() as listener,
    ):
        for _ in range(4):
            await listener.connection.send("no JSON")
        wrong = "Invalid message format"
        assert await rest(listener) == [wrong, wrong, wrong, "Too many errors"]
        assert await listener.closed() == (1008, "too many errors")


async def test_ids_over_the_limit_leave_the_connection_open(tmp_path: Path) -> None:
    settings = limited(ids_per_message=1)
    async with (
        serving(tmp_path, before=two_prices, **settings) as running,
        running.listener() as listener,
    ):
        heard = await listener.asks("SUBSCRIBE", contractIds=[CHA, ".stx"])
        assert [each["type"] for each in heard] == [ERROR, "PRICE_UPDATE"]
        assert heard[1]["contractId"] == CHA


@pytest.mark.parametrize("query", ["tokens=a,b,c", "tokens=a,b,c&since=x"])
async def test_a_query_of_too_many_ids_is_refused(tmp_path: Path, query: str) -> None:
    async with (
        serving(tmp_path, **limited(ids_per_message=2)) as running,
        running.http() as http,
    ):
        assert (await http.get("/prices?tokens=a,b")).status_code == 200
        answer = await http.get(f"/prices?{query}")
        assert answer.status_code == 400
        assert answer.json()["error"] == "too-many-ids"
        events = {"Accept": "text/event-stream"}
        answer = await http.get(f"/prices?{query}", headers=events)
        assert answer.status_code == 400


async def test_an_address_has_its_share_of_connections(tmp_path: Path) -> None:
    settings = limited(connections_each=2)
    async with serving(tmp_path, **settings) as running:
        async with running.listener(), running.listener():
            with pytest.raises(InvalidStatus) as refused:
                await connect(f"ws://{running.host}/prices")
            response = refused.value.response
            assert response.status_code == 429
            assert response.headers["Retry-After"] == "10"
            said = json.loads(response.body)
            assert said["error"] == "too-many-connections"
            assert said["message"] == "too many connections from your address"
        await until_let_in(running)


async def until_let_in(running: Serving) -> None:
    """Ask as long as those that left are not counted out."""
    async with asyncio.timeout(LONG_S), running.http() as http:
        while (await http.get("/prices")).status_code != 200:
            pass


async def test_a_full_edge_refuses_and_still_tells_its_health(tmp_path: Path) -> None:
    settings = limited(connections=1)
    async with (
        serving(tmp_path, **settings) as running,
        running.listener(),
        running.http() as http,
    ):
        answer = await http.get("/prices")
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "10")
        assert answer.headers["Connection"] == "close"
        for path in ("/health/live", "/health/ready", "/metrics"):
            assert (await http.get(path)).status_code == 200
        # An EventSource would never come back after another status.
        events = await http.get("/prices", headers={"Accept": "text/event-stream"})
        assert events.status_code == 200
        assert events.text.startswith("retry:")
        assert "too many connections" in events.text


@asynccontextmanager
async def silent(running: Serving) -> AsyncIterator[asyncio.StreamReader]:
    """Connect, send half of a request, and wait."""
    reader, writer = await asyncio.open_connection("127.0.0.1", running.edge.port)
    writer.write(b"GET /prices HTTP/1.1\r\nHost: x\r\n")
    try:
        yield reader
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def test_who_says_nothing_counts_too_until_cut_off(tmp_path: Path) -> None:
    settings = limited(connections_each=1) | {"keepalive_s": 2.0}
    async with serving(tmp_path, **settings) as running:
        async with silent(running) as reader:
            async with running.http() as http:
                assert (await http.get("/prices")).status_code == 429
            async with asyncio.timeout(LONG_S):
                assert await reader.read() == b""
        await until_let_in(running)


async def test_those_turned_away_who_say_nothing_are_bounded(tmp_path: Path) -> None:
    async with serving(tmp_path, **limited(connections_each=1)) as running:
        held = [
            await asyncio.open_connection("127.0.0.1", running.edge.port)
            for _ in range(300)
        ]
        # The first is in and 256 wait to be told; the rest are cut off.
        async with asyncio.timeout(LONG_S):
            assert await held[-1][0].read() == b""
        for _, writer in held:
            writer.transport.abort()


async def test_behind_a_proxy_the_address_is_what_the_proxy_says(
    tmp_path: Path,
) -> None:
    settings = limited(connections_each=1) | {
        "access": Access(proxies=networks(["127.0.0.0/8"]))
    }

    def by(client: str) -> Any:
        return connect(
            f"ws://{running.host}/prices",
            additional_headers={"X-Forwarded-For": f"6.6.6.6, {client}"},
        )

    async with (
        serving(tmp_path, **settings) as running,
        by("198.51.100.1"),
        by("2001:db8::1"),
    ):
        for client in ("198.51.100.1", "2001:db8::2"):
            with pytest.raises(InvalidStatus) as refused:
                await by(client)
            assert refused.value.response.status_code == 429
        async with by("198.51.100.2"):
            pass
        async with running.http() as http:
            headers = {"X-Forwarded-For": "198.51.100.3"}
            for _ in range(3):
                answer = await http.get("/prices", headers=headers)
                assert answer.status_code == 200


async def test_pages_of_other_origins_open_no_connection(tmp_path: Path) -> None:
    async with serving(tmp_path, origins=("https://good.example",)) as running:
        url = f"ws://{running.host}/prices"
        with pytest.raises(InvalidStatus) as refused:
            await connect(url, additional_headers={"Origin": "https://bad.example"})
        assert refused.value.response.status_code == 403
        for origin in ("https://good.example", f"http://{running.host}"):
            async with connect(url, additional_headers={"Origin": origin}):
                pass
        async with connect(url):
            pass


@pytest.mark.parametrize("shown", ["", "Bearer wrong", "Basic right", "Bearer ü"])
async def test_who_shows_no_token_gets_nothing(tmp_path: Path, shown: str) -> None:
    access = Access(metrics_token="right", refresh_token="right")
    async with (
        serving(tmp_path, access=access) as running,
        running.http() as http,
    ):
        headers = {b"Authorization": shown.encode()} if shown else {}
        for answer in (
            await http.get("/metrics", headers=headers),
            await http.post("/prices", headers=headers),
        ):
            assert answer.status_code == 401
            assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert (await http.get("/prices")).status_code == 200
        async with running.listener() as listener:
            assert await listener.asks("MANUAL_UPDATE") == [
                {"type": ERROR, "message": "Not allowed to ask for an update"}
            ]
        assert await demanded(running.log) == []


async def test_who_shows_the_token_may(tmp_path: Path) -> None:
    access = Access(metrics_token="m", refresh_token="r")
    async with (
        serving(tmp_path, access=access) as running,
        running.http() as http,
    ):
        metrics = await http.get("/metrics", headers={"Authorization": "bearer m"})
        assert metrics.status_code == 200
        right = {"Authorization": "Bearer r"}
        assert (await http.post("/prices", headers=right)).status_code == 200
        url = f"ws://{running.host}{BALANCES}"
        async with connect(url, additional_headers=right) as connection:
            listener = Listener(connection)
            await listener.until_now()
            assert await listener.asks("MANUAL_UPDATE") == []
        while len(await demanded(running.log)) < 2:
            await running.taken_in()


async def test_an_address_asks_for_a_reading_once_in_a_while(tmp_path: Path) -> None:
    settings = limited(refreshes_each=Rate(0.1)) | {"refresh_interval_s": 1.0}
    async with (
        serving(tmp_path, **settings) as running,
        running.http() as http,
    ):
        for _ in range(2):
            answer = await http.post("/prices")
            assert answer.json()["status"] == "triggered"
            await running.taken_in()
            await running.clock.advance(2)
        assert len(await demanded(running.log)) == 1


async def leased(running: Serving) -> set[str]:
    """Return the keys of the users of whom something stands in ``demand`` by now."""
    await running.taken_in()
    return {key for key, _ in await demanded(running.log)}


async def test_new_users_beyond_the_share_of_an_address_are_not_watched(
    tmp_path: Path,
) -> None:
    settings = limited(new_watched_each=Rate(1 / 60, 1))
    async with (
        serving(tmp_path, **settings) as running,
        running.listener(BALANCES) as one,
        running.listener(BALANCES) as other,
    ):
        (batch,) = await one.asks("SUBSCRIBE", userIds=[ANNE, BOB])
        assert batch["type"] == "BALANCE_BATCH"
        first = await leased(running)
        assert len(first) == 1
        await running.clock.advance(60)
        # Who was left out is watched as soon as somebody may have him watched.
        await other.asks("SUBSCRIBE", userIds=[ANNE, BOB])
        while len(await leased(running)) == 1:
            pass


async def test_no_more_users_are_watched_than_there_may_be(tmp_path: Path) -> None:
    async with (
        serving(tmp_path, **limited(watched=1)) as running,
        running.listener(BALANCES) as listener,
    ):
        await listener.asks("SUBSCRIBE", userIds=[ANNE, BOB])
        assert len(await leased(running)) == 1


@pytest.mark.parametrize(
    ("wanted", "files", "most"),
    [
        (0, 20_000, 19_488),
        (100, 20_000, 100),
        (50_000, 20_000, 19_488),
        (0, 256, 128),
        (0, 1, 1),
    ],
)
def test_files_are_kept_for_ourselves(wanted: int, files: int, most: int) -> None:
    assert most_connections(wanted, files=files) == most


async def test_pings_can_be_turned_off(tmp_path: Path) -> None:
    async with (
        serving(tmp_path, ping_s=0) as running,
        running.listener() as listener,
    ):
        for _ in range(3):
            await running.clock.advance(100)
        assert await listener.until_now() == []


async def test_who_speaks_no_http_is_no_trouble_of_ours(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(tmp_path) as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.edge.port)
        writer.write(b"GET / HTTP/1.1\r\nno header\r\n\r\n")
        async with asyncio.timeout(LONG_S):
            assert (await reader.read()).startswith(b"HTTP/1.0 400 ")
        writer.close()
    assert [r for r in caplog.records if r.levelno >= logging.WARNING] == []


async def test_headers_beyond_all_measure_are_refused(tmp_path: Path) -> None:
    async with serving(tmp_path) as running, running.http() as http:
        long = {"X-Long": "x" * 20_000}
        assert (await http.get("/prices", headers=long)).status_code == 431
        many = {f"X-{number}": "x" for number in range(500)}
        assert (await http.get("/prices", headers=many)).status_code == 431
