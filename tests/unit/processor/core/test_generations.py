"""Each generation of the fold by its number."""

import pytest

from processor.core.batch import NEWEST
from processor.core.generations import (
    GENERATIONS,
    UNLIMITED,
    UnknownGeneration,
    fold_of,
    settings_for,
)
from processor.core.shard_state import ShardState
from schemas.base import encode
from schemas.journal import FoldSettings, FoldSettingsV1
from schemas.topics import PRICES_RAW
from tests.support.folding import SHARD, inputs_of, owner_of, price


@pytest.mark.parametrize("number", [1, 2])
def test_each_generation_writes_its_own_number(number: int) -> None:
    said = price("1")
    fold = fold_of(GENERATIONS, number, shard=0, commit=1)
    batch = fold(
        ShardState(SHARD),
        inputs_of([(PRICES_RAW, owner_of(said), encode(said))]),
        settings=FoldSettings(),
        limits=UNLIMITED,
    )
    assert batch.record.generation == number


def test_new_commits_are_written_by_the_newest() -> None:
    assert NEWEST.number == max(GENERATIONS)


def test_one_that_is_not_known_is_refused_with_what_to_do() -> None:
    with pytest.raises(UnknownGeneration, match="use the version that wrote it"):
        fold_of(GENERATIONS, NEWEST.number + 1, shard=0, commit=1)


def test_settings_of_one_generation_are_taken_by_another() -> None:
    first = FoldSettingsV1(price_deviation="0.5")
    second = FoldSettings(price_deviation="0.5", price_jump_factor=3)
    assert settings_for(2, first) == FoldSettings(price_deviation="0.5")
    assert settings_for(1, second) == first
    assert type(settings_for(1, second)) is FoldSettingsV1
    assert settings_for(2, second) is second
    assert settings_for(99, second) is second
