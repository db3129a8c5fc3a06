"""What docs/simulator.md says can be done with the simulator, done."""

import json
import re

import httpx
import pytest

from simulator.config import SimulatorConfig
from simulator.core.faults import Kind
from simulator.server import running
from tests.support.shared_data import ROOT

TEXT = (ROOT / "docs" / "simulator.md").read_text(encoding="utf-8")
ORDERS = re.findall(
    r"^\| `(GET|POST|DELETE) (/admin/\S+?)`(?: `(\{.*?\})`)? \|", TEXT, re.MULTILINE
)
EXAMPLES = re.findall(
    r"^curl -X (\w+) \"http://[^/]+(/admin/\w+)\"(?: -d '(.*)')?$", TEXT, re.MULTILINE
)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        pytest.param(*order, id=f"{number} {order[0]} {order[1]}")
        for number, order in enumerate([*ORDERS, *EXAMPLES])
    ],
)
async def test_every_order_of_the_page_is_taken(
    method: str, path: str, body: str
) -> None:
    async with (
        running(SimulatorConfig(tokens=10, accounts=20, tick_s=0)) as simulator,
        httpx.AsyncClient(base_url=simulator.url, trust_env=False) as http,
    ):
        body = body.replace("SP…", simulator.stage.world.accounts[0])
        answer = await http.request(method, path, content=body or None)
    assert answer.status_code == 200, answer.text


def test_every_route_and_every_fault_is_on_the_page() -> None:
    assert len(ORDERS) == 11
    assert len(EXAMPLES) == 3
    for kind in Kind:
        assert f"`{kind}`" in TEXT


async def test_a_wrong_order_is_refused_with_the_reason() -> None:
    async with (
        running(SimulatorConfig(tokens=10, accounts=20, tick_s=0)) as simulator,
        httpx.AsyncClient(base_url=simulator.url, trust_env=False) as http,
    ):
        answer = await http.post("/admin/price", json={"contractId": "nothing"})
    assert answer.status_code == 400
    assert json.loads(answer.text)["error"]
