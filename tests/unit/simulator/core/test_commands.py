"""What an operator may ask for."""

from typing import Any

import pytest

from simulator.core import commands
from simulator.core.commands import BadCommand
from simulator.core.faults import Fault, Kind
from simulator.core.genesis import Holding
from simulator.core.world import STX
from tests.support.simulated import a_world

WORLD = a_world()
USER, TOKEN = WORLD.accounts[0], WORLD.tokens[0].contract_id


def test_a_body_is_an_object_or_nothing() -> None:
    assert commands.body(b"") == {}
    assert commands.body(b'{"count": 2}') == {"count": 2}


@pytest.mark.parametrize("raw", [b"{", b"[]", b"\xff"])
def test_another_body_is_refused(raw: bytes) -> None:
    with pytest.raises(BadCommand):
        commands.body(raw)


def test_ticks_and_depth_are_one_unless_said() -> None:
    assert commands.ticks({}) == commands.depth({}) == 1
    assert commands.ticks({"count": 30}) == 30
    assert commands.depth({"depth": 3}) == 3


@pytest.mark.parametrize("count", [0, -1, 1.0, "1", True, 10**6])
def test_a_count_out_of_bounds_is_refused(count: object) -> None:
    with pytest.raises(BadCommand, match="count"):
        commands.ticks({"count": count})


def test_a_price_is_pinned_or_let_go() -> None:
    assert commands.price(WORLD, {"contractId": "stx", "usd": "1.5"}) == (STX, 1.5)
    assert commands.price(WORLD, {"contractId": TOKEN, "usd": 2}) == (TOKEN, 2.0)
    assert commands.price(WORLD, {"contractId": TOKEN}) == (TOKEN, None)


@pytest.mark.parametrize(
    "asked",
    [
        {"contractId": "SP1.x", "usd": 1},
        {"contractId": WORLD.subnets[0].contract_id, "usd": 1},
        {"contractId": TOKEN, "usd": "much"},
        {"contractId": TOKEN, "usd": "NaN"},
        {"contractId": TOKEN, "usd": []},
    ],
)
def test_a_price_that_makes_no_sense_is_refused(asked: dict[str, Any]) -> None:
    with pytest.raises(BadCommand):
        commands.price(WORLD, asked)


def test_a_holding_is_named_by_canonical_ids() -> None:
    asked = {"user": USER.lower(), "contractId": f"{TOKEN}::x", "amount": str(2**70)}
    put = commands.put(WORLD, asked)
    assert (put.owner, put.contract_id, put.amount) == (USER, TOKEN, 2**70)
    assert commands.put(WORLD, asked | {"contractId": "stx"}).contract_id == STX


@pytest.mark.parametrize(
    ("amount", "sent", "wanted"),
    [
        pytest.param(15, None, Holding(15, 2, 17), id="more"),
        pytest.param(4, None, Holding(4, 8, 12), id="less"),
        pytest.param(-4, 99, Holding(-4, 99, 12), id="totals given"),
    ],
)
def test_totals_follow_the_balance_unless_they_are_given(
    amount: int, sent: int | None, wanted: Holding
) -> None:
    asked = {"user": USER, "contractId": TOKEN, "amount": amount, "sent": sent}
    assert commands.put(WORLD, asked).wanted(Holding(10, 2, 12)) == wanted


@pytest.mark.parametrize(
    "change",
    [
        {"user": "SP1"},
        {"contractId": "SP1.x"},
        {"amount": None},
        {"amount": "1e3"},
        {"amount": 1.5},
        {"sent": True},
    ],
)
def test_a_holding_that_makes_no_sense_is_refused(change: dict[str, Any]) -> None:
    asked = {"user": USER, "contractId": TOKEN, "amount": 1}
    with pytest.raises(BadCommand):
        commands.put(WORLD, asked | change)


def test_a_fault_is_read_and_shown_as_it_was_asked_for() -> None:
    asked = {
        "upstream": "hiro",
        "path": "/extended/*",
        "kind": "429",
        "count": 2,
        "retryAfter": 7,
        "delaySeconds": 0.5,
        "blocks": 2,
    }
    fault = commands.fault(asked)
    assert fault == Fault("hiro", Kind.TOO_MANY, "/extended/*", 2, "7", 0.5, 2)
    assert commands.shown(fault) == asked | {"retryAfter": "7"}
    assert commands.fault({"kind": "html"}) == Fault("*", Kind.HTML)


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"kind": "flood"},
        {"kind": "500", "upstream": "moon"},
        {"kind": "500", "count": 0},
        {"kind": "slow", "delaySeconds": -1},
        {"kind": "slow", "delaySeconds": "1"},
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(asked: dict[str, Any]) -> None:
    with pytest.raises(BadCommand):
        commands.fault(asked)
