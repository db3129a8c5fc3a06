"""How far price sources are from one another: cases and a law."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.core.spread import FAR, Words, spread
from schemas.ids import ContractId

A, B = ContractId("a"), ContractId("b")


def words(**said: dict[str, str]) -> Words:
    return {
        source: {ContractId(token): Decimal(usd) for token, usd in prices.items()}
        for source, prices in said.items()
    }


def test_nobody_says_anything() -> None:
    found = spread({})
    assert (found.unchecked, found.suspects()) == (0, [])
    assert found.widest == 1


def test_a_token_of_one_source_is_unchecked() -> None:
    found = spread(words(one={"a": "1", "b": "1"}, two={"a": "1"}))
    assert found.unchecked == 1
    assert found.compared == {"one": 1, "two": 1}
    assert found.far == {"one": 0, "two": 0}


def test_of_three_the_one_that_lies_stands_out() -> None:
    found = spread(
        words(
            one={"a": "1", "b": "2"},
            two={"a": "1.1", "b": "2"},
            mad={"a": "1000000", "b": "2000000"},
        )
    )
    assert found.far == {"one": 0, "two": 0, "mad": 2}
    assert found.suspects() == ["mad"]
    assert found.widest == 1_000_000


def test_of_two_nobody_knows_which_it_is() -> None:
    found = spread(words(one={"a": "1"}, mad={"a": "1000000"}))
    assert found.suspects() == ["one", "mad"]


@pytest.mark.parametrize(
    ("usd", "far"), [("0.49", 1), ("0.5", 0), ("2", 0), ("2.01", 1)]
)
def test_far_is_more_than_twice_or_less_than_half(usd: str, far: int) -> None:
    assert spread(words(one={"a": "1"}, two={"a": usd})).far["two"] == far


def test_a_source_far_on_a_few_tokens_is_no_suspect() -> None:
    found = spread(
        words(
            one={"a": "1", "b": "1"}, two={"a": "1", "b": "1"}, off={"a": "1", "b": "9"}
        )
    )
    assert found.far["off"] == 1
    assert found.suspects() == []


prices = st.decimals("0.000001", "1000000", places=6)


@given(st.lists(prices, min_size=2, max_size=5))
def test_sources_are_far_only_where_prices_are_apart(said: list[Decimal]) -> None:
    found = spread({f"s{at}": {A: usd} for at, usd in enumerate(said)})
    assert found.widest == max(said) / min(said)
    if found.widest <= FAR:
        assert set(found.far.values()) == {0}
    assert sum(found.far.values()) < len(said) or len(said) % 2 == 0
