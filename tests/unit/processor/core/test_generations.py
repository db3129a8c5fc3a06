"""Each generation of the fold by its number."""

import pytest

from processor.core.batch import GENERATION, fold_batch
from processor.core.generations import GENERATIONS, UnknownGeneration, fold_of


def test_the_present_fold_is_among_those_that_are_known() -> None:
    assert fold_of(GENERATIONS, GENERATION, shard=0, commit=1) is fold_batch


def test_one_that_is_not_known_is_refused_with_what_to_do() -> None:
    with pytest.raises(UnknownGeneration, match="use the version that wrote it"):
        fold_of(GENERATIONS, GENERATION + 1, shard=0, commit=1)
