"""Whatever a server sends is read or counted; nothing raises, no digit is lost."""

import json
import sys
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stacks_feed_client.core.reading import (
    MAX_LINE,
    balances,
    count,
    line,
    message,
    prices,
    text,
)
from stacks_feed_client.core.values import SubnetBalance

UPDATE: dict[str, Any] = {
    "type": "BALANCE_UPDATE",
    "userId": "SPA",
    "contractId": "SPA.cha",
    "balance": "5",
    "totalSent": "1",
    "totalReceived": "6",
    "formattedBalance": "0.000005",
    "subnets": [],
    "metadata": {"symbol": "CHA", "decimals": 6, "name": "", "price": 0.25},
    "timestamp": 1,
    "source": "hiro-api",
    "version": 3,
}
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
    ),
    max_leaves=8,
)
kinds = st.sampled_from(["PRICE_UPDATE", "PRICE_BATCH", "BALANCE_BATCH", "X"])


@given(st.text() | st.binary())
def test_no_text_raises(said: str | bytes) -> None:
    assert isinstance(message(said), dict)


@given(
    st.dictionaries(st.sampled_from([*UPDATE, "prices", "price"]), json_values), kinds
)
def test_no_message_raises(fields: dict[str, Any], kind: str) -> None:
    said = message(json.dumps(UPDATE | fields | {"type": kind}))
    list(prices(said))
    list(balances(said))


@pytest.mark.parametrize(
    "said",
    [
        pytest.param("[" * 100_000, id="nested"),
        pytest.param("1" * 10_000, id="a number of many digits"),
        pytest.param('{"a":NaN}', id="NaN"),
        pytest.param('{"a":1e99999999999999999999}', id="no number of ours"),
        pytest.param('{"a":0.%s}' % ("1" * 5_000), id="digits without end"),
        pytest.param("[]", id="no object"),
        pytest.param(b"{}", id="binary"),
    ],
)
def test_what_is_no_message_is_an_empty_one(said: str | bytes) -> None:
    assert message(said) == {}


@given(st.decimals(0, 10**20, places=18))
def test_a_price_keeps_its_digits_as_number_and_as_text(usd: Decimal) -> None:
    for written in (f"{usd:f}", f'"{usd:f}"'):
        said = message(
            f'{{"type":"PRICE_UPDATE","contractId":"stx","price":{written},'
            '"timestamp":1,"source":"api"}'
        )
        (price,) = prices(said)
        assert price is not None
        assert (price.contract_id, price.price, price.version) == (".stx", usd, None)


@given(st.integers(0, 2**128 - 1))
def test_an_amount_keeps_its_digits_as_number_and_as_text(amount: int) -> None:
    for written in (amount, f"{amount}"):
        (balance,) = balances(message(json.dumps(UPDATE | {"balance": written})))
        assert balance is not None
        assert balance.balance == amount


def test_an_amount_with_an_exponent_is_read_too() -> None:
    said = json.dumps(UPDATE).replace('"balance": "5"', '"balance": 1e21')
    (balance,) = balances(message(said))
    assert balance is not None
    assert balance.balance == 10**21


def test_a_balance_in_exact_form_has_every_part() -> None:
    part = {"contractId": "SPA.sub", "balance": "7", "formattedBalance": "0.7"}
    exact = UPDATE | {"subnets": [part], "balance": None, "formattedBalance": None}
    (found,) = balances(message(json.dumps(exact)))
    assert found is not None
    assert (found.balance, found.formatted, found.version) == (None, None, 3)
    assert found.subnets == (SubnetBalance("SPA.sub", 7, Decimal("0.7")),)
    assert (found.token.symbol, found.token.name) == ("CHA", None)
    assert found.token.price == Decimal("0.25")
    assert found.token.fields["decimals"] == 6


def test_a_balance_in_base_form_has_the_part_that_it_carries() -> None:
    base = {k: v for k, v in UPDATE.items() if k not in {"subnets", "metadata"}} | {
        "subnetBalance": 0,
        "formattedSubnetBalance": 0.0,
        "subnetContractId": "SPA.sub",
    }
    (found,) = balances(message(json.dumps(base)))
    assert found is not None
    assert found.subnets == (SubnetBalance("SPA.sub", 0, Decimal(0)),)
    assert found.token.symbol is None


def test_a_balance_without_subnets_has_no_part() -> None:
    base = {k: v for k, v in UPDATE.items() if k != "subnets"}
    (found,) = balances(message(json.dumps(base)))
    assert found is not None
    assert found.subnets == ()


@pytest.mark.parametrize(
    "broken",
    [
        {"balance": "1e999999999"},
        {"balance": -1},
        {"balance": "0.5"},
        {"balance": True},
        {"balance": "x"},
        {"balance": "Infinity"},
        {"balance": 2**140},
        {"userId": ""},
        {"contractId": 5},
        {"subnets": ["x"]},
        {"timestamp": None},
    ],
    ids=str,
)
def test_an_entry_that_is_wrong_costs_itself_alone(broken: dict[str, Any]) -> None:
    batch = {"type": "BALANCE_BATCH", "balances": [UPDATE | broken, UPDATE, 5]}
    wrong, right, nothing = balances(message(json.dumps(batch)))
    assert wrong is None
    assert nothing is None
    assert right is not None


@pytest.mark.parametrize(
    "broken",
    [
        {"price": "1e999999999"},
        {"price": "1e-999999999"},
        {"price": "1e39"},
        {"price": -5},
        {"price": "-0.1"},
        {"price": "sNaN"},
        {"price": 10**4_200},
        {"version": -1},
        {"version": "1"},
        {"version": 2**63},
    ],
    ids=lambda broken: str(broken)[:40],
)
def test_a_price_that_is_none_is_not_believed(broken: dict[str, Any]) -> None:
    right = {"contractId": "stx", "price": 1, "timestamp": 1, "source": "api"}
    batch = {"type": "PRICE_BATCH", "prices": [right | broken, right]}
    assert [price is None for price in prices(message(json.dumps(batch)))] == [
        True,
        False,
    ]


@pytest.mark.parametrize(
    "broken",
    [
        {"formattedBalance": -1},
        {"formattedBalance": "1e999999999"},
        {"metadata": {"price": "-0.1"}},
        {"metadata": {"price": "1e999999999"}},
        {"subnets": [{"contractId": "x", "balance": 1, "formattedBalance": "-1"}]},
    ],
    ids=str,
)
def test_no_quantity_of_a_balance_is_believed_that_is_none(
    broken: dict[str, Any],
) -> None:
    assert list(balances(message(json.dumps(UPDATE | broken)))) == [None]


def test_an_integer_is_measured_before_its_digits_are_written() -> None:
    limit = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)
    try:
        said = message('{"type":"PRICE_UPDATE","price":%s}' % ("9" * 100_000))
        assert list(prices({**said, "contractId": "x"})) == [None]
    finally:
        sys.set_int_max_str_digits(limit)


def test_a_foreign_text_becomes_one_line() -> None:
    assert line(" two\r\nlines\x1b[31m\u202e ") == "two  lines [31m"
    assert line("x" * MAX_LINE) == "x" * MAX_LINE
    assert line("x" * 10**6) == "x" * (MAX_LINE - 1) + "…"


def test_a_batch_without_a_list_is_one_entry_that_cannot_be_read() -> None:
    assert list(prices({"type": "PRICE_BATCH", "prices": 5})) == [None]


def test_texts_and_counts_are_what_they_must_be() -> None:
    assert [text("a"), text("é😀"), text(""), text(1)] == ["a", "é😀", None, None]
    assert text("half of a character: \ud800") is None
    assert [count(0), count(-1), count(True), count("1")] == [0, None, None, None]
