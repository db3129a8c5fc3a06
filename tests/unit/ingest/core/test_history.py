"""Lines of history: kept byte for byte, or bad with a reason."""

from decimal import Decimal
from typing import Any

import pytest

from ingest.core.history import (
    BadRow,
    Past,
    from_columns,
    from_json,
    newest_moment,
    past_of,
    topic_and_key,
)
from schemas.balances import SubnetRead, UserForgotten
from schemas.base import encode
from schemas.ids import ContractId, UserId
from schemas.prices import PriceObserved
from schemas.tokens import TokenFields, TokenObserved

A = ContractId("SP2ZNGJ85ENDY6QRHQ5P2D4FXKGZWCKTB2T0Z55KS.a")
ANN = UserId("SP2ZNGJ85ENDY6QRHQ5P2D4FXKGZWCKTB2T0Z55KS")
PRICE = PriceObserved(contract_id=A, source="x", usd="1.5", observed_at=7, sequence=2)
GONE = UserForgotten(user_id=ANN, observed_at=1)
TOKEN = TokenObserved(contract_id=A, source="x", observed_at=1, fields=TokenFields())
SUBNET = SubnetRead(
    user_id=ANN, subnet_id=A, base_id=A, source="x", observed_at=1, balance="0"
)


@pytest.mark.parametrize(
    ("seen", "where"),
    [
        (PRICE, ("prices.raw", A.encode())),
        (TOKEN, ("tokens.raw", A.encode())),
        (GONE, ("balances.raw", ANN.encode())),
        (SUBNET, ("balances.raw", ANN.encode())),
    ],
)
def test_an_observation_knows_where_it_belongs(seen: Any, where: Any) -> None:
    assert topic_and_key(seen) == where
    assert from_json(encode(seen) + b"\r\n") == past_of(seen)


def test_the_bytes_of_a_line_are_kept() -> None:
    spaced = encode(PRICE).replace(b":", b": ")
    past = from_json(spaced)
    assert isinstance(past, Past)
    assert past.value == spaced


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"{", "the whole line"),
        (b'{"schema":"price/1"}', "the whole line"),
        (encode(PRICE).replace(b'"1.5"', b"1.5"), "usd"),
        (encode(PRICE).replace(b"price.observed/1", b"price.observed/2"), "not an"),
    ],
)
def test_a_line_that_is_no_observation_says_where(line: bytes, why: str) -> None:
    bad = from_json(line)
    assert isinstance(bad, BadRow)
    assert why in bad.why


def row(**changes: Any) -> dict[str, Any]:
    return {"contractId": A, "source": "x", "usd": "1.50", "observedAt": "7", **changes}


@pytest.mark.parametrize("usd", ["1.50", " 1.5 ", 1.5, Decimal("1.5")])
def test_a_row_of_prices_is_read_from_text_or_numbers(usd: Any) -> None:
    assert from_columns(row(usd=usd, sequence="2")) == past_of(PRICE)
    past = from_columns(row(usd=usd, observedAt=7, sequence=None))
    assert isinstance(past, Past)
    assert past.sequence == 0


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"contractId": "nothing"}, "contractId"),
        ({"usd": "0"}, "usd"),
        ({"usd": float("nan")}, "usd"),
        ({"usd": None}, "usd"),
        ({"observedAt": "2024-01-01"}, "observedAt"),
        ({"observedAt": str(2**53)}, "observedAt"),
        ({"sequence": "-1"}, "sequence"),
        ({"source": "Not A Name"}, "source"),
    ],
)
def test_a_bad_row_says_which_column(changes: dict[str, Any], why: str) -> None:
    bad = from_columns(row(**changes))
    assert isinstance(bad, BadRow)
    assert why in bad.why


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        (encode(PRICE), 7),
        (b"not JSON", -1),
        (b"[]", -1),
        (b"{}", -1),
        (b'{"observedAt":"7"}', -1),
        (None, -1),
    ],
)
def test_the_moment_of_whatever_stands_in_a_raw_topic(
    value: bytes | None, moment: int
) -> None:
    assert newest_moment(value) == moment
