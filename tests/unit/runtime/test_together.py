"""Processes that answer as one, over real sockets."""

import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
import pytest

from app.ports import free_port
from runtime.health import Health
from runtime.serving import served, serving
from runtime.together import relayed, routes
from tests.support.serving import LONG_S

HERE = "127.0.0.1"


def unready() -> Health:
    health = Health()
    health.add("table", lambda: "not read")
    return health


@asynccontextmanager
async def answering(*healths: Health) -> AsyncIterator[int]:
    """Serve processes of these healths, and one that is not there; yield for all."""
    async with AsyncExitStack() as stack:
        ports = {"gone": free_port(HERE)}
        for number, health in enumerate(healths):
            ports[f"{number}"] = await stack.enter_async_context(
                serving(health, host=HERE, port=0)
            )
        yield await stack.enter_async_context(served(routes(ports), host=HERE, port=0))


@pytest.mark.parametrize("by_way_of_another", [False, True])
async def test_one_answers_for_all(*, by_way_of_another: bool) -> None:
    async with answering(Health(), unready()) as asked, AsyncExitStack() as stack:
        port = asked
        if by_way_of_another:
            port = await stack.enter_async_context(
                served(relayed(asked), host=HERE, port=0)
            )
        http = await stack.enter_async_context(
            httpx.AsyncClient(base_url=f"http://{HERE}:{port}")
        )
        ready, metrics = await http.get("/health/ready"), await http.get("/metrics")
        assert (await http.get("/health/live")).text == "live"
    assert ready.status_code == 200
    assert ready.json()["warnings"] == ["gone: no answer", "1: table: not read"]
    assert metrics.headers["content-type"].startswith("text/plain")
    for name in "01":
        assert f'stacks_feed_watched_users{{process="{name}"}}' in metrics.text


async def test_one_that_hangs_does_not_keep_the_others_from_being_heard() -> None:
    # The system connects whoever asks it; nobody ever answers.
    with socket.create_server((HERE, 0)) as hung:
        async with (
            serving(Health(), host=HERE, port=0) as well,
            served(
                routes({"hung": hung.getsockname()[1], "well": well}), host=HERE, port=0
            ) as asked,
            served(relayed(asked), host=HERE, port=0) as relay,
            httpx.AsyncClient(timeout=LONG_S) as http,
        ):
            answer = await http.get(f"http://{HERE}:{relay}/health/ready")
    assert answer.status_code == 200
    assert answer.json()["warnings"] == ["hung: no answer"]


async def test_none_is_ready() -> None:
    async with (
        answering(unready()) as port,
        served(relayed(port), host=HERE, port=0) as relay,
        httpx.AsyncClient() as http,
    ):
        answer = await http.get(f"http://{HERE}:{relay}/health/ready")
    assert answer.status_code == 503
    assert answer.json()["reasons"] == ["gone: no answer", "0: table: not read"]


async def test_without_an_answer_for_all_there_is_none() -> None:
    async with (
        served(relayed(free_port(HERE)), host=HERE, port=0) as relay,
        httpx.AsyncClient() as http,
    ):
        answer = await http.get(f"http://{HERE}:{relay}/metrics")
    assert answer.status_code == 503
    assert "no answer" in answer.text
