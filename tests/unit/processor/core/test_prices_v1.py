"""The price fold of generation 1: tables of cases."""

import statistics
from decimal import Decimal
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.core.batch import GENERATION_1
from processor.core.prices import Quote
from processor.core.prices_v1 import TokenPrice, _median
from processor.core.shard_state import KINDS_V1
from schemas.journal import Origin
from schemas.prices import Market, Price, PriceObserved
from schemas.states import MAX_SOURCES
from tests.support import folding as folding_module
from tests.support.folding import ALPHA, SHARD, price

KEY = "price:ALPHA"


class Folding(folding_module.Folding):
    def __init__(self, **settings: Any) -> None:
        super().__init__(GENERATION_1, **settings)


def published(folding: Folding, *events: PriceObserved) -> Price:
    value = folding.tell_all(events).values[KEY]
    assert isinstance(value, Price)
    return value


@pytest.mark.parametrize(
    ("second", "decision"),
    [
        pytest.param(price("2", at=6), "published", id="moved"),
        pytest.param(price("1", at=6), "unchanged", id="same price"),
        pytest.param(price("1", at=5), "duplicate", id="same moment, same price"),
        pytest.param(price("2", at=5), "rejected", id="same moment, other price"),
        pytest.param(price("2", at=5, sequence=1), "published", id="later sequence"),
        pytest.param(price("2", at=4, sequence=9), "stale", id="earlier moment"),
        pytest.param(price("2", "b", at=4), "published", id="another source, earlier"),
        pytest.param(price("1", "b", at=4), "unchanged", id="another source, equal"),
    ],
)
def test_a_second_word(second: PriceObserved, decision: str) -> None:
    folding = Folding()
    assert folding.tell(price("1", at=5)).decisions == {"published": 1}
    assert folding.tell(second).decisions == {decision: 1}


def test_an_earlier_sequence_of_the_same_time_is_stale() -> None:
    folding = Folding()
    folding.tell(price("1", at=5, sequence=2))
    assert folding.tell(price("2", at=5, sequence=1)).decisions == {"stale": 1}


def test_other_content_at_the_same_moment_is_a_conflict() -> None:
    told = Folding().tell_all([price("1"), price("2")])
    assert told.refused == ("conflict",)


@pytest.mark.parametrize(
    ("said", "usd"),
    [
        pytest.param(["3"], "3", id="one"),
        pytest.param(["1", "2"], "1.5", id="the mean of two"),
        pytest.param(["1", "100", "2"], "2", id="the middle of three"),
        pytest.param(["1", "100", "2", "3"], "2.5", id="the mean of the middle two"),
        pytest.param(["10", "9", "0.5"], "9", id="by number, not by text"),
        pytest.param(
            ["0.1234567890123456785"], "0.123456789012345678", id="half to even, down"
        ),
        pytest.param(
            ["0.1234567890123456775"], "0.123456789012345678", id="half to even, up"
        ),
        pytest.param(
            ["0.000000000000000001", "0.000000000000000002"],
            "0.000000000000000002",
            id="a mean that is cut",
        ),
        pytest.param(["1234567890123456789.5"], "1234567890123456789.5", id="long"),
    ],
)
def test_the_price_is_the_median_cut_to_18_places(said: list[str], usd: str) -> None:
    events = [price(word, source) for word, source in zip(said, "abcd", strict=False)]
    assert published(Folding(), *events).usd == usd


@pytest.mark.parametrize("said", list(permutations(["1", "2", "10"])), ids="-".join)
def test_of_three_the_middle_one_counts_whoever_said_it(said: tuple[str, ...]) -> None:
    events = [price(word, source) for word, source in zip(said, "abc", strict=True)]
    assert published(Folding(), *events).usd == "2"


@given(st.lists(st.sampled_from(["0.5", "1", "2", "10"]), min_size=1, max_size=5))
def test_the_median_is_that_of_the_numbers(said: list[str]) -> None:
    words = [
        Quote(1, 0, f"{n}", usd, Decimal(usd), None, n) for n, usd in enumerate(said)
    ]
    assert Decimal(_median(words)) == statistics.median(map(Decimal, said))


def test_a_value_names_the_words_it_stands_on_by_source() -> None:
    folding = Folding()
    value = published(folding, price("3", "b", at=7), price("1", "a", at=5))
    assert value == Price(
        contract_id=ALPHA,
        usd="2",
        version=2,
        observed_at=7,
        origins=(Origin("prices.raw", SHARD, 1), Origin("prices.raw", SHARD, 0)),
    )


def test_a_source_far_behind_drops_out_and_comes_back() -> None:
    folding = Folding(price_max_age_ms=10)
    value = published(folding, price("1", "a", at=0), price("9", "b", at=11))
    assert (value.usd, value.origins) == ("9", (Origin("prices.raw", SHARD, 1),))
    assert published(folding, price("1", "a", at=1)).usd == "5"


def test_a_word_that_is_itself_not_fresh_changes_nothing() -> None:
    folding = Folding(price_max_age_ms=10)
    folding.tell(price("9", "b", at=100))
    assert folding.tell(price("1", "a", at=5)).decisions == {"unchanged": 1}


DAY, HOUR = Market(change24h="1"), Market(change1h="2")


@pytest.mark.parametrize(
    ("events", "market"),
    [
        pytest.param([price("1")], None, id="nobody has one"),
        pytest.param([price("1", market=DAY)], DAY, id="the only one"),
        pytest.param(
            [price("1", "a", at=2, market=DAY), price("3", "b", at=1, market=HOUR)],
            DAY,
            id="that of the latest word",
        ),
        pytest.param(
            [price("1", "a", market=DAY), price("3", "b", market=HOUR)],
            HOUR,
            id="of equals that of the last name",
        ),
        pytest.param(
            [price("1", "b", at=2), price("3", "a", at=1, market=HOUR)],
            HOUR,
            id="of the words that have one",
        ),
    ],
)
def test_the_market_of_a_value(
    events: list[PriceObserved], market: Market | None
) -> None:
    assert published(Folding(), *events).market == market


@pytest.mark.parametrize(
    ("deviation", "second", "decision"),
    [
        pytest.param("0.01", "101", "unchanged", id="at the limit above"),
        pytest.param("0.01", "99", "unchanged", id="at the limit below"),
        pytest.param("0.01", "101.000000000000000001", "published", id="just above"),
        pytest.param("0.01", "98.999999999999999999", "published", id="just below"),
        pytest.param("1", "200", "unchanged", id="the whole"),
        pytest.param("0", "100.000000000000000001", "published", id="any"),
    ],
)
def test_a_small_change_is_not_published(
    deviation: str, second: str, decision: str
) -> None:
    folding = Folding(price_deviation=deviation)
    told = folding.tell_all([price("100", at=1), price(second, at=2)])
    assert told.decisions == {decision: 1}


def test_the_deviation_counts_from_what_was_published() -> None:
    folding = Folding(price_deviation="0.01")
    events = [price("100"), price("101", at=2), price("101.5", at=3)]
    assert published(folding, *events).version == 2


def test_a_token_takes_the_words_of_so_many_sources() -> None:
    folding = Folding()
    told = folding.tell_all([price("1", f"s{n}") for n in range(MAX_SOURCES + 1)])
    assert told.refused == ("full",)
    assert folding.tell(price("1", "s0", at=2)).decisions == {"unchanged": 1}


def test_a_copy_shares_nothing_that_changes() -> None:
    folding: Any = Folding()
    folding.tell(price("1"))
    before: TokenPrice = folding.state.open("prices.raw", ALPHA.encode(), KINDS_V1)
    copied = before.copy()
    copied.words.clear()
    assert before.words
