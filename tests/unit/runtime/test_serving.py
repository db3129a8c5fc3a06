"""What a process without HTTP of its own serves to its operator."""

import socket

import httpx
import pytest

from runtime.health import Health
from runtime.metrics import WATCHED
from runtime.serving import serving


async def test_metrics_and_life_are_served_where_it_is_told() -> None:
    async with (
        serving(Health(), host="127.0.0.1", port=0) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http,
    ):
        metrics = await http.get("/metrics")
        assert "stacks_feed_watched_users" in metrics.text
        assert metrics.headers["content-type"].startswith("text/plain")
        alive = await http.get("/health/live")
        assert (alive.status_code, alive.text) == (200, "live")
        assert (await http.get("/other")).status_code == 404


async def test_readiness_is_503_with_the_reasons_until_there_are_none() -> None:
    health, wrong = Health(), {"log": "away"}
    health.add("log", lambda: wrong.get("log"))
    health.warn("upstreams", lambda: "kraxel is left alone")
    health.tell("shards", lambda: [0, 2])
    async with (
        serving(health, host="127.0.0.1", port=0) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http,
    ):
        answer = await http.get("/health/ready")
        assert answer.status_code == 503
        assert answer.json() == {
            "ready": False,
            "reasons": ["log: away"],
            "warnings": ["upstreams: kraxel is left alone"],
            "shards": [0, 2],
        }
        wrong.clear()
        answer = await http.get("/health/ready")
        assert answer.status_code == 200
        assert answer.json()["ready"] is True


async def test_a_port_in_use_is_an_os_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="in use"):
            async with serving(Health(), host="127.0.0.1", port=port):
                pytest.fail("served")


async def test_what_is_measured_on_demand_is_measured_before_it_is_told() -> None:
    health = Health()
    health.measure(lambda: WATCHED.set(7_077))
    async with (
        serving(health, host="127.0.0.1", port=0) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http,
    ):
        metrics = await http.get("/metrics")
    assert "stacks_feed_watched_users 7077.0" in metrics.text


async def test_a_service_serves_its_own_metrics_alone() -> None:
    async with (
        serving(Health("edge"), host="127.0.0.1", port=0) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http,
    ):
        metrics = (await http.get("/metrics")).text
    assert "stacks_feed_table_keys" in metrics
    assert "stacks_feed_watched_users" not in metrics
