"""How often a process looks for garbage that refers to itself."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_COLLECT_EVERY = 50_000


@contextmanager
def rare_collections() -> Iterator[None]:
    """Look for garbage once in some batches of records, not many times in each.

    What a batch makes and drops has no cycles; looking for them among all that a service
    holds is a tenth of its time.
    """
    before = gc.get_threshold()
    gc.set_threshold(_COLLECT_EVERY, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
