"""Exact updates, held to their models."""

import json
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from edge.core.exact import exact_balance, exact_price, exact_zero
from edge.core.messages import metadata
from schemas import extras
from schemas.balances import Balance
from schemas.prices import Price
from tests.support import records
from tests.support.edge_table import ANNE, CHA, NOW_MS, a_table, token

TABLE = a_table(token(CHA, decimals=6))
JOINED = metadata(TABLE.tokens[CHA], None)


@given(records.EVENTS[Price], st.sampled_from(["api", "local-dev"]))
def test_a_price_is_the_text_of_the_log(value: Price, source: str) -> None:
    said = exact_price(value.contract_id, value, source=source)
    model = extras.ExactPriceUpdate.model_validate_json(said)
    assert (model.price, model.timestamp) == (value.usd, value.observed_at)


@given(records.EVENTS[Balance])
def test_a_balance_has_every_part_exactly(value: Balance) -> None:
    said = exact_balance(value, TABLE, decimals=6, joined=JOINED)
    model = extras.ExactBalanceUpdate.model_validate_json(said)
    main = value.mainnet
    assert model.balance == (main.balance if main else None)
    if main is not None and model.formatted_balance is not None:
        assert Fraction(model.formatted_balance) * 10**6 == int(main.balance)
    parts = {part.contract_id: part.balance for part in model.subnets}
    assert parts == {subnet: part.balance for subnet, part in value.subnets.items()}


def test_zeros_are_exact_too() -> None:
    said = exact_zero(ANNE, CHA, joined=JOINED, now_ms=NOW_MS)
    model = extras.ExactBalanceUpdate.model_validate_json(said)
    assert (model.balance, model.subnets) == ("0", ())
    assert json.loads(said)["source"] == "default-zero"
