"""A simulator on a real socket, and how tests talk to it."""

from typing import Any

import httpx

from simulator.config import SimulatorConfig

CONFIG = SimulatorConfig(tokens=200, accounts=100, tick_s=0)
NOBODY = "SP000000000000000000002Q6VF78"


async def get(client: httpx.AsyncClient, path: str) -> Any:
    answer = await client.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def post(client: httpx.AsyncClient, path: str, **body: object) -> Any:
    answer = await client.post(path, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def call(
    client: httpx.AsyncClient, contract_id: str, function: str, *arguments: str
) -> Any:
    """Make a read-only contract call."""
    path = contract_id.replace(".", "/")
    return await post(
        client,
        f"/hiro/v2/contracts/call-read/{path}/{function}",
        sender=NOBODY,
        arguments=arguments,
    )


def balances(principal: str) -> str:
    return f"/hiro/extended/v1/address/{principal}/balances"
