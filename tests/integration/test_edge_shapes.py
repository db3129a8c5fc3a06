"""Every message has the fields that clients read, of the types they expect, and no more."""

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from eventlog.port import EventLog
from schemas import wire
from tests.support.serving import (
    ANNE,
    BOB,
    CHA,
    Message,
    Serving,
    balance,
    price,
    serving,
    the_tokens,
    two_prices,
)
from tests.support.shared_data import shared_data

MODELS: dict[str, type[BaseModel]] = {
    "SERVER_INFO": wire.ServerInfo,
    "PRICE_UPDATE": wire.PriceUpdate,
    "PRICE_BATCH": wire.PriceBatch,
    "BALANCE_UPDATE": wire.BalanceUpdate,
    "BALANCE_BATCH": wire.BalanceBatch,
    "PONG": wire.Pong,
    "ERROR": wire.Error,
}
# What the first words of a description mean; the rest of them explain.
TYPES: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "bool": (bool,),
    "int": (int,),
    "ms": (int,),
    "echo": (int,),
    "JS number": (int, float),
    "float": (int, float),
    "'": (str,),
    "PRICE_UPDATE[]": (list,),
    "BALANCE_UPDATE[]": (list,),
    "token metadata object": (dict,),
}
# Fields repeated beside `metadata`; clients read them there first, so they are left out.
LEFT_OUT = "legacy duplicates"


async def a_table(log: EventLog) -> None:
    await the_tokens(log)
    await two_prices(log)
    await balance(log, ANNE, CHA, 1_500_000, charisma_token_subnet_v1=5)
    await balance(log, BOB, CHA, 1)


async def every_message(running: Serving) -> dict[str, list[Message]]:
    """Return what was heard in a life of a client of each party, by type."""
    heard: list[Message] = []
    for party, ids in (("prices", [CHA]), ("balances", [ANNE])):
        field = "contractIds" if party == "prices" else "userIds"
        async with running.listener(f"/{party}", greeting=heard) as listener:
            for said in (ids, []):
                heard += await listener.asks("SUBSCRIBE", **{field: said})
            heard += await listener.asks("UNKNOWN")
            await listener.send("PING", timestamp=1)
            heard.append(await listener.next())
            await price(running.log, CHA, "0.5")
            await balance(running.log, ANNE, CHA, 7, charisma_token_subnet_v1=6)
            await balance(running.log, BOB, CHA, 2)
            await running.taken_in()
            heard += await listener.until_now()
    found: dict[str, list[Message]] = {}
    for message in [*heard, *_inside(heard)]:
        found.setdefault(message["type"], []).append(message)
    return found


def _inside(messages: list[Message]) -> list[Message]:
    return [u for m in messages for u in (*m.get("prices", ()), *m.get("balances", ()))]


async def test_every_message_is_of_its_closed_model(tmp_path: Path) -> None:
    async with serving(tmp_path, before=a_table) as running:
        found = await every_message(running)
    assert found.keys() == MODELS.keys()
    for kind, messages in found.items():
        for message in messages:
            MODELS[kind].model_validate_json(json.dumps(message))


async def test_subnet_fields_are_all_there_or_all_absent(tmp_path: Path) -> None:
    async with serving(tmp_path, before=a_table) as running:
        found = await every_message(running)
    names = {"subnetBalance", "formattedSubnetBalance", "subnetContractId"}
    counts = {len(names & update.keys()) for update in found["BALANCE_UPDATE"]}
    assert counts == {0, 3}


async def test_the_fields_are_those_that_clients_in_use_know(tmp_path: Path) -> None:
    shapes = json.loads(
        shared_data("charisma/realtime_message_shapes.json").read_text()
    )["server_to_client"]
    async with serving(tmp_path, before=a_table) as running:
        found = await every_message(running)
    assert shapes.keys() == found.keys()
    for kind, fields in shapes.items():
        for message in found[kind]:
            _check(message, fields)


def _check(message: Message, fields: dict[str, str]) -> None:
    for name, description in fields.items():
        if name == LEFT_OUT:
            assert "symbol" not in message
            continue
        # Some were of one party only; now both send them.
        assert name in message, (name, message)
        assert _is_described(message[name], description), (name, message[name])


def _is_described(value: Any, description: str) -> bool:
    allowed = [kinds for start, kinds in TYPES.items() if description.startswith(start)]
    assert allowed, description
    return isinstance(value, max(allowed, key=len))


async def test_the_bodies_are_of_their_closed_models(tmp_path: Path) -> None:
    async with serving(tmp_path, before=a_table) as running, running.http() as http:
        for path, model in (
            ("/prices", wire.PricesBody),
            (f"/balances?users={ANNE}", wire.BalancesBody),
        ):
            model.model_validate_json((await http.get(path)).content)
        wire.Triggered.model_validate_json((await http.post("/prices")).content)
