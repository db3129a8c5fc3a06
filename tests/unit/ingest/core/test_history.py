"""Observations as entries: where they belong, and when they were observed."""

from typing import Any

import pytest

from ingest.core.history import (
    Past,
    decode_observation,
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
    assert decode_observation(encode(seen)) == seen
    topic, key = where
    assert past_of(seen) == Past(
        topic, key, encode(seen), seen.observed_at, seen.sequence
    )


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
