"""The simulated year: what it says is what the schemas say, as often as it is said to be."""

from collections import Counter

from benchmarks.market import START_MS
from benchmarks.year import A_DAY, ROUND_MS, Year
from schemas.balances import AccountConfirmed, AccountRead, BalanceObserved
from schemas.base import decoder, encode
from schemas.prices import PriceObserved
from schemas.topics import BALANCES_RAW, PRICES_RAW

_DECODERS = {PRICES_RAW: decoder(PriceObserved), BALANCES_RAW: decoder(BalanceObserved)}


def test_what_is_heard_is_canonical_and_as_often_as_it_should_be() -> None:
    rounds = list(Year(tokens=2, accounts=24).rounds(2))
    assert len(rounds) == 2 * A_DAY
    said = [each for heard in rounds for each in heard]
    kinds: Counter[type] = Counter()
    for topic, key, value in said:
        model = _DECODERS[topic](value)
        assert encode(model) == value
        owner = getattr(model, "user_id", None) or model.contract_id
        assert owner.encode() == key
        assert (model.observed_at - START_MS) % ROUND_MS == 0
        kinds[type(model)] += 1
    assert kinds == {
        PriceObserved: 2 * A_DAY * 2 * 3,
        AccountRead: 24 * 2,
        AccountConfirmed: 24 * 2 * 23,
    }


def test_the_same_seed_says_the_same() -> None:
    assert list(Year(2, 3).rounds(0.1)) == list(Year(2, 3).rounds(0.1))
    assert list(Year(2, 3).rounds(0.1)) != list(Year(2, 3, seed=2).rounds(0.1))
