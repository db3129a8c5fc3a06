"""Bases of subnet tokens, and what follows from them."""

from edge.core.derived import (
    base_of,
    decimals_of,
    largest_subnet,
    mainnet_tokens,
    price_of,
    subnet_decimals,
)
from schemas.ids import ContractId
from tests.support.edge_table import (
    ANNE,
    CHA,
    CHA_SUBNET,
    WELSH,
    a_table,
    balance,
    price,
    token,
)

SECOND = ContractId(f"{ANNE}.charisma-token-subnet-v2")


def test_a_token_that_is_no_subnet_token_is_its_own_base() -> None:
    table = a_table(token(CHA, type="SIP10", base=WELSH), price(CHA, "2"))
    assert base_of(CHA, table.tokens) == CHA
    assert base_of(WELSH, table.tokens) == WELSH
    assert price_of(CHA, table) == table.prices[CHA]


def test_a_chain_of_bases_is_followed_to_its_end() -> None:
    table = a_table(
        token(SECOND, type="SUBNET", base=CHA_SUBNET),
        token(CHA_SUBNET, type="SUBNET", base=CHA),
        price(CHA, "2"),
        price(CHA_SUBNET, "9"),
    )
    assert base_of(SECOND, table.tokens) == CHA
    assert price_of(SECOND, table) == table.prices[CHA]


def test_a_subnet_token_without_a_base_has_no_price() -> None:
    table = a_table(token(CHA_SUBNET, type="SUBNET"), price(CHA_SUBNET, "9"))
    assert base_of(CHA_SUBNET, table.tokens) is None
    assert price_of(CHA_SUBNET, table) is None


def test_a_loop_of_bases_has_no_end_and_no_price() -> None:
    table = a_table(
        token(CHA, type="SUBNET", base=CHA_SUBNET),
        token(CHA_SUBNET, type="SUBNET", base=CHA),
        price(CHA, "2"),
    )
    assert base_of(CHA, table.tokens) is None
    assert price_of(CHA_SUBNET, table) is None


def test_tokens_known_on_mainnet_have_decimals_and_no_subnet() -> None:
    table = a_table(
        token(WELSH, decimals=0),
        token(CHA, decimals=6),
        token(CHA_SUBNET, type="SUBNET", base=CHA, decimals=6),
        token(SECOND),
    )
    assert mainnet_tokens(table) == [CHA, WELSH]


def test_of_equal_subnet_parts_that_of_the_smaller_id_is_the_largest() -> None:
    held = {SECOND: 10, CHA_SUBNET: 10, WELSH: 9}
    table = a_table(balance(ANNE, CHA, 1, subnets=held))
    largest = largest_subnet(table.balances[ANNE][CHA])
    assert largest is not None
    assert largest[0] == CHA_SUBNET


def test_subnet_parts_are_compared_as_numbers() -> None:
    table = a_table(balance(ANNE, CHA, 1, subnets={CHA_SUBNET: 9, SECOND: 10}))
    largest = largest_subnet(table.balances[ANNE][CHA])
    assert largest is not None
    assert largest[0] == SECOND


def test_a_balance_without_subnets_has_no_largest() -> None:
    assert largest_subnet(a_table(balance(ANNE, CHA, 1)).balances[ANNE][CHA]) is None


def test_a_subnet_part_has_the_decimals_of_its_token_else_of_the_base() -> None:
    table = a_table(token(CHA, decimals=6), token(CHA_SUBNET, decimals=0))
    assert subnet_decimals(CHA_SUBNET, CHA, table) == 0
    assert subnet_decimals(SECOND, CHA, table) == 6
    assert decimals_of(SECOND, table) is None
