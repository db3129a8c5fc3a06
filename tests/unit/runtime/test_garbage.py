"""The collector, told to look rarely, and told its old ways again."""

import gc
from contextlib import suppress

from runtime.garbage import rare_collections


def test_the_collector_looks_rarely_and_then_as_before() -> None:
    before = gc.get_threshold()
    with suppress(LookupError), rare_collections():
        assert gc.get_threshold() == (50_000, 0, 50)
        raise LookupError
    assert gc.get_threshold() == before
