"""The world that a seed makes."""

from collections import Counter

import pytest

from simulator.core.c32 import parse_principal
from simulator.core.world import Network, build
from tests.support.simulated import a_world


def test_the_same_seed_makes_the_same_world() -> None:
    assert a_world(3) == a_world(3)
    assert a_world(3).accounts != a_world(4).accounts


def test_two_subnets_stand_on_one_base_and_every_base_is_there() -> None:
    world = a_world()
    bases = Counter(token.base for token in world.subnets)
    assert max(bases.values()) == 2
    assert all(base in world.contracts for base in bases)
    assert len(world.subnets) == 10
    assert {token.bare for token in world.subnets} == {True, False}


def test_decimals_are_mixed_and_contract_ids_unique() -> None:
    world = a_world(tokens=200)
    assert {token.decimals for token in world.tokens} == {0, 2, 3, 6, 8}
    assert len(world.contracts) == 210
    assert len(world.assets) == 200


def test_one_invented_token_calls_itself_stx() -> None:
    assert [token.usd for token in a_world().tokens if token.symbol == "STX"] == [1000]


@pytest.mark.parametrize(
    ("network", "begins"),
    [("mainnet", {"SP", "SM"}), ("testnet", {"ST", "SN"})],
)
def test_every_address_is_valid_on_its_network(
    network: Network, begins: set[str]
) -> None:
    world = build(1, network=network, tokens=30, subnets=10, accounts=40)
    for text in (*world.accounts, *world.contracts):
        assert parse_principal(text).text == text
        assert text[:2] in begins
    assert {text[:2] for text in world.accounts} == begins


def test_a_world_of_few_tokens_has_the_subnets_that_stand_on_them() -> None:
    world = a_world(tokens=1)
    assert [token.base for token in world.subnets] == [world.tokens[0].contract_id] * 2
