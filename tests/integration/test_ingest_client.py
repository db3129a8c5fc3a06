"""The HTTP client over real sockets: what each fault costs, and what it does not."""

import asyncio
from pathlib import Path

import httpx
import pytest

from ingest.core.budget import OPENS_AFTER, Limits
from ingest.core.normalize.body import Unusable, parse
from ingest.sources.client import (
    Ask,
    SourceDown,
    SourceGone,
    UpstreamClient,
    http_client,
)
from ingest.sources.moments import MomentSource
from tests.support.clock import ManualClock
from tests.support.ingesting import admin_of, client_of, no_jitter, simulated, upstream

STATUS = Ask("hiro", "/extended")


def anything(body: bytes) -> object | Unusable:
    found: object | Unusable = parse(body)
    return found


@pytest.mark.parametrize(
    "kind", ["500", "502", "503", "truncate", "html", "malformed", "disconnect"]
)
async def test_one_failure_is_repeated_and_then_read(kind: str) -> None:
    async with (
        simulated() as simulator,
        admin_of(simulator) as admin,
        client_of(simulator, "hiro") as client,
    ):
        await admin.fault("hiro", kind, count=1)
        answer = await client.ask(STATUS, anything)
        assert isinstance(answer.said, dict)
        assert await admin.requests("hiro") == 2


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("500", "status 500"),
        ("html", "not JSON"),
        ("disconnect", "Error"),
        ("truncate", "Error"),
    ],
)
async def test_a_failure_that_stays_is_no_reading(kind: str, why: str) -> None:
    async with (
        simulated() as simulator,
        admin_of(simulator) as admin,
        client_of(simulator, "hiro") as client,
    ):
        await admin.fault("hiro", kind)
        with pytest.raises(SourceDown, match=why):
            await client.ask(STATUS, anything)


async def test_a_request_has_a_limit_as_a_whole() -> None:
    async with (
        simulated() as simulator,
        admin_of(simulator) as admin,
        client_of(simulator, "hiro", timeout_s=0.05, attempts=1) as client,
    ):
        await admin.fault("hiro", "timeout")
        with pytest.raises(SourceDown, match="in time"):
            await client.ask(STATUS, anything)


async def test_an_answer_that_is_too_large_is_dropped_at_once() -> None:
    async with (
        simulated() as simulator,
        admin_of(simulator) as admin,
        client_of(simulator, "tokens", max_body_bytes=1_000) as client,
    ):
        with pytest.raises(SourceDown, match="too large"):
            await client.ask(Ask("charisma", "/api/v1/metadata"), anything)
        assert await admin.requests("tokens") == 1


async def test_a_request_that_is_refused_is_not_repeated() -> None:
    async with (
        simulated() as simulator,
        admin_of(simulator) as admin,
        client_of(simulator, "hiro") as client,
    ):
        ask = Ask("hiro", "/extended/v1/address/x/balances", subject="x")
        with pytest.raises(SourceDown, match="status 40") as caught:
            await client.ask(ask, anything)
        assert caught.value.declined
        assert await admin.requests("hiro") == 1
        assert client.left_alone() == {}


async def test_a_410_says_that_the_endpoint_is_gone() -> None:
    async with (
        simulated() as simulator,
        admin_of(simulator) as admin,
        client_of(simulator, "hiro") as client,
    ):
        await admin.fault("hiro", "410")
        with pytest.raises(SourceGone):
            await client.ask(STATUS, anything)


async def test_a_429_holds_back_everybody_for_as_long_as_it_says() -> None:
    clock = ManualClock()
    async with (
        simulated() as simulator,
        admin_of(simulator) as admin,
        client_of(simulator, "hiro", clock=clock) as client,
        asyncio.TaskGroup() as group,
    ):
        await admin.fault("hiro", "429", count=1, retryAfter=7)
        first = group.create_task(client.ask(STATUS, anything))
        # Its own backoff has no jitter here, so the one who sleeps waits for the host.
        await clock.until_asleep()
        other = Ask("subnet-call", "/extended")
        second = group.create_task(client.ask(other, anything))
        await clock.advance(6.9)
        assert await admin.requests("hiro") == 1
        assert not first.done()
        assert not second.done()
        await clock.advance(0.2)
        assert isinstance((await first).said, dict)
        await clock.until_asleep(0)
        assert isinstance((await second).said, dict)


async def test_a_retry_after_that_is_no_number_means_a_minute() -> None:
    clock = ManualClock()
    async with (
        simulated() as simulator,
        admin_of(simulator) as admin,
        client_of(simulator, "kraxel", clock=clock) as client,
        asyncio.TaskGroup() as group,
    ):
        await admin.fault("kraxel", "429", count=1, retryAfter="soon")
        ask = Ask("kraxel", "/api/prices")
        reading = group.create_task(client.ask(ask, anything))
        await clock.until_asleep()
        await clock.advance(59.0)
        assert not reading.done()
        await clock.advance(2.0)
        assert isinstance((await reading).said, dict)


async def test_a_source_that_fails_is_left_alone_and_others_are_not() -> None:
    clock = ManualClock()
    async with (
        simulated() as simulator,
        admin_of(simulator) as admin,
        client_of(simulator, "hiro", clock=clock, attempts=1) as client,
    ):
        await admin.fault("hiro", "500", count=OPENS_AFTER)
        for _ in range(OPENS_AFTER):
            with pytest.raises(SourceDown, match="status"):
                await client.ask(STATUS, anything)
        with pytest.raises(SourceDown, match="left alone"):
            await client.ask(STATUS, anything)
        assert client.left_alone() == {"hiro": "status 500"}
        assert await admin.requests("hiro") == OPENS_AFTER
        assert (await client.ask(Ask("other", "/extended"), anything)).said
        await clock.advance(20.0)
        assert (await client.ask(STATUS, anything)).said
        assert client.left_alone() == {}


async def test_no_more_goes_out_than_the_budget_allows() -> None:
    clock = ManualClock()
    limits = Limits(per_minute=60)
    async with (
        simulated() as simulator,
        client_of(simulator, "hiro", clock=clock, limits=limits) as client,
        asyncio.TaskGroup() as group,
    ):
        # A tenth of the minute may go out at once; one of that is enough to show it.
        for _ in range(5):
            await client.ask(STATUS, anything)
        sixth = group.create_task(client.ask(STATUS, anything))
        await clock.until_asleep()
        assert not sixth.done()
        await clock.advance(1.2)
        assert (await sixth).said


async def test_limits_in_the_headers_are_learnt() -> None:
    async with (
        simulated(requests_per_minute=600) as simulator,
        client_of(simulator, "hiro") as client,
    ):
        before = client.rate_s
        await client.ask(STATUS, anything)
        assert client.rate_s < before


async def test_a_month_left_over_is_shown(tmp_path: Path) -> None:
    limits = Limits(per_minute=600, per_month=720_000)
    async with (
        simulated() as simulator,
        client_of(simulator, "hiro", limits=limits) as client,
    ):
        assert (await client.ask(STATUS, anything)).said


async def replying(status: int, headers: dict[str, str]) -> UpstreamClient:
    """A client whose upstream always gives one answer, for what the simulator lacks."""

    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(status, headers=headers, content=b"{}")

    clock = ManualClock()
    http = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    return UpstreamClient(
        "hiro",
        upstream("http://upstream"),
        http=http,
        clock=clock,
        moments=MomentSource(clock),
        draw=no_jitter,
    )


async def test_a_refused_key_is_said_and_not_tried_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    client = await replying(401, {})
    with pytest.raises(SourceDown, match="status 401"):
        await client.ask(STATUS, anything)
    assert [record.message for record in caplog.records] == ["key refused"]


async def test_a_deprecation_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    client = await replying(200, {"warning": '299 - "Deprecated: See https://x"'})
    for _ in range(2):
        await client.ask(STATUS, anything)
    assert [record.message for record in caplog.records] == ["endpoint deprecated"]


async def test_the_key_goes_with_every_request() -> None:
    async with http_client("k3y") as http:
        assert http.headers["x-api-key"] == "k3y"
    async with http_client() as http:
        assert "x-api-key" not in http.headers
