"""How often a process looks for garbage that refers to itself."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_COLLECT_EVERY = 50_000
# What is left over is looked through once more with the next, and never more than that at
# a time: a process that just let in thousands of clients would stand still for as long.
_YOUNG_ONCE_MORE = 0
# All there is: after so many of these, if it has grown by a quarter as well.
_OLD_EVERY = 50


@contextmanager
def rare_collections() -> Iterator[None]:
    """Look for garbage once in some batches of records, not many times in each.

    What a batch makes and drops has no cycles; looking for them among all that a service
    holds is a tenth of its time.
    """
    before = gc.get_threshold()
    gc.set_threshold(_COLLECT_EVERY, _YOUNG_ONCE_MORE, _OLD_EVERY)
    try:
        yield
    finally:
        gc.set_threshold(*before)
