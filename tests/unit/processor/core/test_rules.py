"""Settings as the folds ask for them."""

import pytest

from processor.core.rules import Rules
from schemas.journal import FoldSettings


@pytest.mark.parametrize(
    ("deviation", "units"),
    [
        pytest.param("0", 0, id="none"),
        pytest.param("1", 10**18, id="the whole"),
        pytest.param("0.01", 10**16, id="a hundredth"),
        pytest.param("0.000000000000000001", 1, id="the least"),
    ],
)
def test_a_deviation_counts_units_of_18_places(deviation: str, units: int) -> None:
    rules = Rules.of(FoldSettings(price_deviation=deviation), shard=4)
    assert (rules.price_deviation, rules.shard) == (units, 4)


def test_sources_named_in_the_settings_go_first_all_others_by_name() -> None:
    settings = FoldSettings(token_sources=("y", "absent", "x", "y"))
    ranked = Rules.of(settings, shard=0).ranked({"b", "x", "a", "y"})
    assert ranked == ["y", "x", "a", "b"]
