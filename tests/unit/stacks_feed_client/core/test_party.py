"""What each party serves, and how that is kept."""

import pytest

from stacks_feed_client.core.party import BALANCES, PRICES
from stacks_feed_client.core.values import BalanceKey
from tests.support.client_talk import a_balance, a_price


def test_a_price_is_owned_by_its_token() -> None:
    price = a_price(version=2)
    assert PRICES.owner(PRICES.key(price)) == ".stx"
    assert (PRICES.version(price), PRICES.content(price)) == (2, price)


def test_a_balance_is_owned_by_its_user() -> None:
    balance = a_balance(version=2)
    assert BALANCES.owner(BALANCES.key(balance)) == "SPA"
    assert BALANCES.version(balance) == 2
    assert BALANCES.content(balance) == balance.content


@pytest.mark.parametrize(
    ("said", "key"),
    [
        ({"contractId": "stx"}, ".stx"),
        ({"contractId": 5}, None),
    ],
    ids=str,
)
def test_a_removed_price_is_named(said: dict[str, object], key: str | None) -> None:
    assert PRICES.removed(said) == key


@pytest.mark.parametrize(
    ("said", "key"),
    [
        ({"userId": "spa", "contractId": "SPA.cha"}, BalanceKey("SPA", "SPA.cha")),
        ({"userId": "SPA"}, None),
        ({"contractId": "SPA.cha"}, None),
    ],
    ids=str,
)
def test_a_removed_balance_is_named(
    said: dict[str, object], key: BalanceKey | None
) -> None:
    assert BALANCES.removed(said) == key
