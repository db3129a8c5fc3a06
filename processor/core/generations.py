"""Every fold that ever wrote a journal, by its generation.

A change of what the fold derives makes a new generation; the old one stays, so that what
it wrote can be derived again by the fold that wrote it.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from .batch import GENERATION, Batch, Limits, fold_batch

# Of the shape of ``fold_batch``.
Fold = Callable[..., Batch]
Generations = Mapping[int, Fold]


class UnknownGeneration(Exception):
    """A journal names a fold that this program does not have: a newer one wrote it."""

    def __init__(self, generation: int, *, shard: int, commit: int) -> None:
        super().__init__(
            f"commit {commit} of shard {shard} was written by generation {generation} of "
            "the fold, which this program does not have; use the version that wrote it, "
            "or a newer one"
        )
        self.generation, self.shard, self.commit = generation, shard, commit


# What was committed is folded again whole, however it was bounded then.
UNLIMITED: Final = Limits(inputs=2**62, outputs=2**62, size_bytes=2**62)
GENERATIONS: Final[Generations] = MappingProxyType({GENERATION: fold_batch})


def fold_of(
    generations: Generations, generation: int, *, shard: int, commit: int
) -> Fold:
    """Return the fold that wrote a commit; raise ``UnknownGeneration`` without one."""
    fold = generations.get(generation)
    if fold is None:
        raise UnknownGeneration(generation, shard=shard, commit=commit)
    return fold
