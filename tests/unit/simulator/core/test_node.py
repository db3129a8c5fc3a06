"""Read-only contract calls."""

import json
from typing import Any

import pytest

from simulator.core import clarity, node
from simulator.core.c32 import parse_principal
from simulator.core.genesis import Holding
from simulator.core.world import Token
from tests.support.simulated import Grown, grown


@pytest.fixture
def of() -> Grown:
    return grown()


def argument(principal: str) -> str:
    return clarity.to_hex(clarity.principal(parse_principal(principal)))


def ask(of: Grown, contract_id: str, function: str, *arguments: str) -> Any:
    sender = of.world.accounts[0]
    raw = json.dumps({"sender": sender, "arguments": arguments}).encode()
    return node.answer(of.world, of.ledger, node.parse(contract_id, function, raw))


def subnet(of: Grown, *, bare: bool) -> Token:
    return next(token for token in of.world.subnets if token.bare is bare)


@pytest.mark.parametrize(("bare", "prefix"), [(True, "0x01"), (False, "0x0701")])
def test_a_balance_comes_bare_or_in_ok(of: Grown, bare: bool, prefix: str) -> None:
    token, owner = subnet(of, bare=bare), of.world.accounts[0]
    of.ledger.put(owner, token.contract_id, Holding(9, 0, 9))
    answer = ask(of, token.contract_id, "get-balance", argument(owner))
    assert answer == {"okay": True, "result": prefix + f"{9:032x}"}


def test_who_never_held_a_token_has_zero_of_it(of: Grown) -> None:
    contract_id = of.world.tokens[0].contract_id
    who = argument("SP000000000000000000002Q6VF78.vault")
    answer = ask(of, contract_id, "get-balance", who)
    assert answer["result"] == "0x0701" + "0" * 32


def test_decimals_and_supply_are_told(of: Grown) -> None:
    token = subnet(of, bare=False)
    decimals = ask(of, token.contract_id, "get-decimals")
    assert decimals["result"] == "0x0701" + f"{token.decimals:032x}"
    supply = ask(of, token.contract_id, "get-total-supply")
    assert token.base is not None
    assert supply == ask(of, token.base, "get-total-supply")
    assert int(supply["result"][6:], 16) == of.ledger.supply(token.base) > 0


@pytest.mark.parametrize(
    ("contract", "function", "arguments", "cause"),
    [
        pytest.param("SP1.x", "get-balance", (), "NoSuchContract", id="contract"),
        pytest.param(None, "transfer", (), "NotReadOnly", id="public"),
        pytest.param(None, "get-luck", (), "UndefinedFunction", id="function"),
        pytest.param(
            None, "get-balance", (), "IncorrectArgumentCount(1, 0)", id="arguments"
        ),
        pytest.param(None, "get-balance", ("0x03",), "TypeValueError", id="type"),
    ],
)
def test_a_call_that_fails_tells_its_cause(
    of: Grown, contract: str | None, function: str, arguments: tuple[str], cause: str
) -> None:
    contract_id = contract or of.world.subnets[0].contract_id
    answer = ask(of, contract_id, function, *arguments)
    assert answer["okay"] is False
    assert cause in answer["cause"]


def test_a_balance_below_zero_is_a_failure_of_the_contract(of: Grown) -> None:
    owner, contract_id = of.world.accounts[0], of.world.subnets[0].contract_id
    of.ledger.put(owner, contract_id, Holding(-1, 1, 0))
    answer = ask(of, contract_id, "get-balance", argument(owner))
    assert answer["cause"].startswith("Runtime")


SENDER = "SP000000000000000000002Q6VF78"


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\xff", id="not text"),
        pytest.param(b"[]", id="not an object"),
        pytest.param(b'{"sender": "%s"}' % SENDER.encode(), id="no arguments"),
        pytest.param(b'{"sender": "SP1", "arguments": []}', id="sender"),
        pytest.param(
            json.dumps({"sender": SENDER, "arguments": ["zz"]}).encode(), id="hex"
        ),
        pytest.param(
            json.dumps({"sender": SENDER, "arguments": 1}).encode(), id="no list"
        ),
        pytest.param(
            json.dumps({"sender": SENDER, "arguments": [], "x": 1}).encode(), id="more"
        ),
    ],
)
def test_a_body_the_node_cannot_read_is_refused(body: bytes) -> None:
    with pytest.raises(node.BadCall):
        node.parse("SP1.x", "get-balance", body)
