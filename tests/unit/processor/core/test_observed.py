"""How new the observations are that a shard has folded, and which prices nobody gives."""

from collections.abc import Sequence
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from processor.core.observed import (
    MIN_UNQUOTED_MS,
    LastQuotes,
    advanced,
    never_observed,
)
from processor.core.prices import Quote, TokenPrice
from schemas.ids import ContractId
from schemas.log import MAX_UNQUOTED, Observed, Unquoted
from schemas.prices import PriceObserved
from schemas.topics import BALANCES_RAW, PRICES_RAW, RAW, TOKENS_RAW
from tests.support.folding import ALPHA, BETA, SHARD, Folding, price

MAX_AGE_MS = 900_000

times = st.dictionaries(st.sampled_from(RAW), st.integers(0, 9))


def test_each_kind_has_a_time_of_its_own() -> None:
    newest = {PRICES_RAW: 3, TOKENS_RAW: 1}
    found = advanced(never_observed(2), newest)
    assert found == Observed(shard=2, prices=3, balances=None, tokens=1)
    found = advanced(found, {BALANCES_RAW: 0})
    assert found == Observed(shard=2, prices=3, balances=0, tokens=1)


def test_a_commit_that_advances_nothing_leaves_the_same_record() -> None:
    before = advanced(never_observed(2), {PRICES_RAW: 3})
    assert advanced(before, {PRICES_RAW: 2}) is before
    assert advanced(before, {}) is before


@given(st.lists(times))
def test_no_time_steps_back_and_each_is_the_newest(
    commits: Sequence[dict[str, int]],
) -> None:
    observed = never_observed(0)
    for commit in commits:
        observed = advanced(observed, commit)
    for topic, time in zip(
        RAW, (observed.prices, observed.balances, observed.tokens), strict=True
    ):
        assert time == max((c[topic] for c in commits if topic in c), default=None)


# ---- tokens that no source quotes any more


def quotes_of(*events: PriceObserved, max_age_ms: int = MAX_AGE_MS) -> LastQuotes:
    """Return what a shard knows that has folded these quotes, of whichever tokens."""
    folding = Folding()
    for event in events:
        folding.tell(event, time_ms=event.observed_at)
    quotes = LastQuotes(SHARD, max_age_ms=max_age_ms)
    tokens = {event.contract_id for event in events}
    opened = (folding.state.open(PRICES_RAW, each.encode()) for each in tokens)
    quotes.update(opened)
    return quotes


def unquoted(prices: dict[ContractId, int]) -> Unquoted:
    return Unquoted(shard=SHARD, count=len(prices), prices=prices)


def test_a_token_is_unquoted_once_its_last_quote_is_too_far_behind_those_of_others() -> (
    None
):
    dropped = price("1", at=5)
    limit_ms = 5 + MAX_AGE_MS
    assert quotes_of(dropped, price("2", at=limit_ms, token=BETA)).unquoted() == (
        unquoted({})
    )
    late = price("2", at=limit_ms + 1, token=BETA)
    assert quotes_of(dropped, late).unquoted() == unquoted({ALPHA: 5})
    again = price("1", "b", at=limit_ms)
    assert quotes_of(dropped, late, again).unquoted() == unquoted({})


def test_nothing_is_unquoted_while_nothing_at_all_is_observed() -> None:
    assert quotes_of().unquoted() == unquoted({})
    assert quotes_of(price("1", at=5)).unquoted() == unquoted({})


def test_a_source_that_gives_a_time_long_gone_does_not_make_a_price_new() -> None:
    then = 1_700_000_000_000
    now = then + MAX_AGE_MS + 1
    again = price("1", at=now).model_copy(update={"source_time": then})
    events = price("1", at=then), again, price("2", at=now, token=BETA)
    found = quotes_of(*events).unquoted()
    assert found == unquoted({ALPHA: then})


def test_a_token_that_never_had_a_price_is_not_counted() -> None:
    quotes = LastQuotes(SHARD, max_age_ms=MAX_AGE_MS)
    nothing = TokenPrice(ALPHA)
    quotes.update([nothing])
    assert not quotes.has_prices
    assert quotes_of(price("1")).has_prices


def test_quotes_of_the_same_round_are_never_told_apart() -> None:
    limit_ms = 5 + MIN_UNQUOTED_MS
    dropped = price("1", at=5)
    found = quotes_of(dropped, price("2", at=limit_ms, token=BETA), max_age_ms=0)
    assert found.unquoted() == unquoted({})
    found = quotes_of(dropped, price("2", at=limit_ms + 1, token=BETA), max_age_ms=0)
    assert found.unquoted() == unquoted({ALPHA: 5})


def test_of_too_many_tokens_those_dropped_last_are_named_and_all_are_counted() -> None:
    quotes = quotes_of(price("2", at=10 * MAX_AGE_MS, token=BETA))
    names = [f"{ALPHA}{number}" for number in range(MAX_UNQUOTED + 2)]
    for at, name in enumerate(names):
        token = TokenPrice(name)
        token.add(a_quote(at))
        token.usd = "1"
        quotes.update([token])
    found = quotes.unquoted()
    assert found.count == MAX_UNQUOTED + 2
    assert set(found.prices) == set(names[2:])


def a_quote(at: int) -> Quote:
    return Quote(at, 0, "a", "1", Decimal(1), None, 0, time=at)
