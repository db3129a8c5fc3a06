"""The HTTP client over real sockets: what each fault costs, and what it does not."""

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from ingest.core.budget import OPENS_AFTER, Limits
from ingest.core.inflate import PIECE_BYTES
from ingest.core.normalize.body import Unusable, parse
from ingest.sources.client import (
    Ask,
    SourceDown,
    SourceGone,
    UpstreamClient,
    http_client,
)
from ingest.sources.moments import MomentSource
from runtime.clock import Clock, SystemClock
from runtime.metrics import UPSTREAM_REJECTS
from tests.support.clock import ManualClock
from tests.support.ingesting import admin_of, client_of, no_jitter, simulated, upstream
from tests.support.replaying import Answer, Reply, replaying, scripted
from tests.support.tasks import beside

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
    caplog.set_level("INFO", logger="ingest.client")
    client = await replying(200, {"warning": '299 - "Deprecated: See https://x"'})
    for _ in range(2):
        await client.ask(STATUS, anything)
    assert caplog.messages.count("endpoint deprecated") == 1


async def test_the_key_goes_with_every_request() -> None:
    async with http_client("k3y") as http:
        assert http.headers["x-api-key"] == "k3y"
    async with http_client() as http:
        assert "x-api-key" not in http.headers


def broken(body: bytes) -> object | Unusable:
    """A reader with a bug."""
    raise KeyError(body)


@asynccontextmanager
async def client_at(
    url: str, *, clock: Clock | None = None, **changes: Any
) -> AsyncIterator[UpstreamClient]:
    clock = clock or ManualClock()
    async with http_client() as http:
        yield UpstreamClient(
            "hiro",
            upstream(url, attempts=1, **changes),
            http=http,
            clock=clock,
            moments=MomentSource(clock),
            draw=no_jitter,
        )


def always(reply: Reply) -> Answer:
    return lambda _: reply


async def test_a_bug_of_a_reader_costs_its_source_and_nothing_else(
    caplog: pytest.LogCaptureFixture,
) -> None:
    buggy = Ask("buggy-source", "/extended")
    counted = UPSTREAM_REJECTS.labels("buggy-source")
    async with (
        replaying(always(Reply(body=b"{}"))) as server,
        client_at(server.url) as client,
    ):
        for _ in range(OPENS_AFTER):
            with pytest.raises(SourceDown, match="bug of ours: KeyError"):
                await client.ask(buggy, broken)
        assert counted._value.get() == OPENS_AFTER
        assert "KeyError" in client.left_alone()["buggy-source"]
        assert (await client.ask(STATUS, anything)).said == {}
    [bug] = [line for line in caplog.records if line.exc_info]
    assert bug.__dict__["source"] == "buggy-source"
    assert "broken" in (bug.exc_text or caplog.text)


async def test_a_bug_of_what_is_made_of_answers_counts_like_one_of_a_reader() -> None:
    def make() -> int:
        raise IndexError

    counted = UPSTREAM_REJECTS.labels("made-source")
    ask = Ask("made-source", "/extended")
    async with client_at("http://nobody.invalid") as client:
        assert client.derived(ask, lambda: 5) == 5
        for _ in range(OPENS_AFTER):
            with pytest.raises(SourceDown, match="IndexError"):
                client.derived(ask, make)
        assert counted._value.get() == OPENS_AFTER
        assert "made-source" in client.left_alone()


async def test_a_request_that_cannot_be_written_is_a_failure_like_any_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with client_at("http://127.0.0.1:1") as client:
        odd = Ask("odd-source", "/", params={"cursor": "\ud800"})
        with pytest.raises(SourceDown, match="UnicodeEncodeError"):
            await client.ask(odd, anything)
    assert [line.__dict__["source"] for line in caplog.records] == ["odd-source"]


@pytest.mark.parametrize(
    ("coding", "encode"), [("gzip", gzip.compress), ("deflate", zlib.compress)]
)
async def test_a_compressed_answer_is_read(
    coding: str, encode: Callable[[bytes], bytes]
) -> None:
    body = encode(b'{"a": 1}')
    async with (
        replaying(always(Reply(200, [("Content-Encoding", coding)], body))) as server,
        client_at(server.url) as client,
    ):
        assert (await client.ask(STATUS, anything)).said == {"a": 1}
        assert server.asked[0].headers["accept-encoding"] == "gzip, deflate"


@pytest.mark.parametrize(
    ("codings", "body", "why"),
    [
        (["gzip, gzip"], gzip.compress(gzip.compress(b"{}")), "more than one"),
        (["gzip", "deflate"], zlib.compress(b"{}"), "more than one"),
        (["br"], b"{}", "not asked for"),
        (["gzip"], b"{}", "broken"),
        (["gzip"], gzip.compress(b"{}")[:-1], "cut short"),
        (["gzip"], gzip.compress(bytes(2**20)), "too large"),
    ],
    ids=["two in one", "two headers", "brotli", "none", "cut short", "a bomb"],
)
async def test_an_answer_in_a_coding_of_its_own_is_no_reading(
    codings: list[str], body: bytes, why: str
) -> None:
    headers = [("Content-Encoding", coding) for coding in codings]
    async with (
        replaying(always(Reply(200, headers, body))) as server,
        client_at(server.url, max_body_bytes=2**19) as client,
    ):
        with pytest.raises(SourceDown, match=why):
            await client.ask(STATUS, anything)


async def test_others_get_their_turn_while_an_answer_is_inflated() -> None:
    pieces = 32
    body = gzip.compress(b'"' + b" " * (pieces * PIECE_BYTES - 2) + b'"')
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    reply = Reply(200, [("Content-Encoding", "gzip")], body)
    async with (
        replaying(always(reply)) as server,
        client_at(server.url) as client,
        beside(count()),
    ):

        def noted(body: bytes) -> int:
            return turns

        before = turns
        after = (await client.ask(STATUS, noted)).said
        assert after is not None
        assert after - before > pieces


@pytest.mark.parametrize(
    "reply",
    [
        Reply(503, [("Content-Length", "99")], b"x", stall=True),
        Reply(503, [("Content-Length", "99")], b"x", close=True),
        Reply(503, [("Content-Encoding", "gzip, gzip, br")], b"<html>"),
        Reply(503, [], b"x" * 300_000),
    ],
    ids=["stalled", "cut", "odd coding", "large"],
)
async def test_the_body_of_an_error_takes_nothing_from_its_status(
    reply: Reply,
) -> None:
    async with replaying(always(reply)) as server, client_at(server.url) as client:
        with pytest.raises(SourceDown, match="status 503"):
            await client.ask(STATUS, anything)


async def test_no_redirect_is_followed() -> None:
    async with replaying(always(Reply(body=b"{}"))) as elsewhere:
        moved = Reply(302, [("Location", f"{elsewhere.url}/internal")])
        async with replaying(always(moved)) as server, client_at(server.url) as client:
            with pytest.raises(SourceDown, match="status 302"):
                await client.ask(STATUS, anything)
        assert not elsewhere.asked


@pytest.mark.parametrize(
    "location",
    ["http://a:99999999/", "//[", "http://%ff:%ff@x/", "\x00", "http:///", "a" * 9_000],
)
async def test_a_location_of_any_content_is_a_failure_like_any_other(
    location: str,
) -> None:
    moved = Reply(302, [("Location", location), ("Location", "http://b.invalid/")])
    async with replaying(always(moved)) as server, client_at(server.url) as client:
        with pytest.raises(SourceDown):
            await client.ask(STATUS, anything)


@pytest.mark.parametrize(("tag", "kept"), [('"abc"', True), ("a b", False)])
async def test_an_etag_that_may_not_be_sent_back_is_not_kept(
    tag: str, kept: bool
) -> None:
    client = await replying(200, {"etag": tag})
    answer = await client.ask(STATUS, anything)
    assert answer.etag == (tag if kept else None)


@asynccontextmanager
async def scripted_client(
    *files: str, clock: ManualClock, limits: Limits
) -> AsyncIterator[UpstreamClient]:
    """A client of an upstream that answers from files of the test data."""
    async with replaying(scripted([*files, "base"])) as server, http_client() as http:
        yield UpstreamClient(
            "stxtools",
            upstream(server.url, limits=limits),
            http=http,
            clock=clock,
            moments=MomentSource(clock),
            draw=no_jitter,
        )


TOKENS = Ask("stxtools", "/tokens")


async def test_a_cost_of_a_trillion_requests_costs_a_burst() -> None:
    clock = ManualClock()
    async with (
        scripted_client("cost-of-a-trillion", clock=clock, limits=Limits(60)) as client,
        asyncio.TaskGroup() as group,
    ):
        await client.ask(TOKENS, anything)
        second = group.create_task(client.ask(TOKENS, anything))
        await clock.until_asleep()
        await clock.advance(8.0)
        assert (await second).said


@pytest.mark.parametrize(
    ("file", "ask"),
    [
        ("limit-of-one-once", TOKENS),
        ("month-of-a-thousand-once", Ask("hiro", "/extended/v1/address/x/balances")),
    ],
)
async def test_a_limit_that_is_said_once_counts_until_the_next_answer(
    file: str, ask: Ask, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    clock = ManualClock()
    async with scripted_client(file, clock=clock, limits=Limits(60)) as client:
        client.need(ask.source, 1 / 5)
        await client.ask(ask, anything)
        said = client.slowness()
        assert said is not None
        assert said.startswith("it allows 1 requests a minute, 12 are needed")
        # One goes out of what the bucket still holds, and its answer widens it again.
        assert (await client.ask(ask, anything)).said
        assert client.rate_s == client.planned_rate_s
        assert client.slowness() is None
    told = [record.message for record in caplog.records if "slows" in record.message]
    assert told == ["limit slows us", "limit slows us no more"]


async def test_a_request_that_waits_by_a_narrow_limit_goes_out_when_an_answer_widens_it() -> (
    None
):
    clock = ManualClock()
    widen = asyncio.Event()
    asked = 0

    async def answer(request: httpx.Request) -> httpx.Response:
        nonlocal asked
        asked += 1
        if asked == 2:
            await widen.wait()
        headers = {"ratelimit-limit": "1"} if asked == 1 else {}
        return httpx.Response(200, headers=headers, content=b"{}")

    client = UpstreamClient(
        "hiro",
        upstream("http://upstream"),
        http=httpx.AsyncClient(transport=httpx.MockTransport(answer)),
        clock=clock,
        moments=MomentSource(clock),
        draw=no_jitter,
    )
    await client.ask(STATUS, anything)
    async with asyncio.TaskGroup() as group:
        second = group.create_task(client.ask(STATUS, anything))
        third = group.create_task(client.ask(STATUS, anything))
        await clock.until_asleep()
        widen.set()
        await second
        # By the limit of one a minute it would wait for another minute.
        await clock.advance(1.0)
        await third


async def test_a_proxy_that_says_nothing_of_limits_does_not_lift_them() -> None:
    answers = iter(
        [
            Reply(200, [("RateLimit-Limit", "30")], b"{}"),
            Reply(502, [], b"<html>"),
            Reply(200, [], b"{}"),
        ]
    )
    async with (
        replaying(lambda _: next(answers)) as server,
        client_at(server.url) as client,
    ):
        await client.ask(STATUS, anything)
        narrow = client.rate_s
        assert narrow < client.planned_rate_s
        with pytest.raises(SourceDown):
            await client.ask(STATUS, anything)
        assert client.rate_s == narrow
        await client.ask(STATUS, anything)
        assert client.rate_s == client.planned_rate_s


async def test_a_host_that_limits_us_is_said_once_and_when_it_ends(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    limited, good = Reply(429, [("Retry-After", "0")]), Reply(body=b"{}")
    answers = iter([limited, limited, good])
    async with (
        replaying(lambda _: next(answers)) as server,
        client_at(server.url, clock=SystemClock()) as client,
    ):
        for _ in range(2):
            with pytest.raises(SourceDown, match="429"):
                await client.ask(STATUS, anything)
        await client.ask(STATUS, anything)
    told = [line.message for line in caplog.records if line.name == "ingest.client"]
    assert told == ["host limits us", "host takes requests again"]
