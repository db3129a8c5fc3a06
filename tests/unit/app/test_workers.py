"""Several processes behind one port: what each is told, and what is refused before."""

import socket
from typing import Any

import httpx
import pytest

from app import settings, workers
from app.errors import OperatorError
from app.ports import free_port
from runtime.clock import SystemClock

HERE = "127.0.0.1"


def read(**given: Any) -> settings.Settings:
    return settings.read(given, env_file=None)


def test_each_worker_is_told_the_port_and_has_a_name_of_its_own() -> None:
    told = read(instance="edge-a", log="x.sqlite", drain_s=7, live=True)
    children = workers.worker_children(
        told, port=4, together_port=5, own_ports={"worker 1": 6, "worker 2": 7}
    )
    assert [child.name for child in children] == ["worker 1", "worker 2"]
    for number, child in enumerate(children, start=1):
        its = {
            name.removeprefix("STACKS_FEED_"): value
            for name, value in child.environment.items()
            if name.startswith("STACKS_FEED_")
        }
        assert its == {
            "LOG": "x.sqlite",
            "LIVE": "true",
            "PORT": "4",
            "WORKERS": "1",
            "TOGETHER_PORT": "5",
            "METRICS_HOST": HERE,
            "METRICS_PORT": f"{number + 5}",
            "INSTANCE": f"edge-a-worker-{number}",
        }
        assert child.most_deaths == workers.MOST_DEATHS
        # Longer than its farewell, shorter than its parent has.
        assert child.stop_limit_s == 11.0


def test_a_long_name_leaves_room_for_the_number() -> None:
    (child,) = workers.worker_children(
        read(instance="x" * 100), port=4, together_port=5, own_ports={"worker 64": 6}
    )
    assert read(instance=child.environment["STACKS_FEED_INSTANCE"]).instance


async def test_the_port_is_held_and_all_are_answered_for() -> None:
    metrics_port = free_port(HERE)
    told = read(port=0, workers=2, metrics_port=metrics_port)
    opened = workers.opened_workers(told, clock=SystemClock())
    async with opened, httpx.AsyncClient() as http:
        answer = await http.get(f"http://{HERE}:{metrics_port}/health/ready")
    assert answer.status_code == 503
    assert answer.json()["reasons"] == ["worker 1: no answer", "worker 2: no answer"]


@pytest.mark.parametrize("taken", ["port", "metrics_port"])
async def test_a_port_in_use_is_refused_before_any_worker_starts(taken: str) -> None:
    with socket.create_server((HERE, 0)) as other:
        told = read(**{"port": 0, "workers": 2, taken: other.getsockname()[1]})
        with pytest.raises(OperatorError, match="in use"):
            async with workers.opened_workers(told, clock=SystemClock()):
                pytest.fail("opened")
