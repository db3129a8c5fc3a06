"""How new the observations are that a shard has folded."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from processor.core.observed import advanced, never_observed
from schemas.log import Observed
from schemas.topics import BALANCES_RAW, PRICES_RAW, RAW, TOKENS_RAW

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
