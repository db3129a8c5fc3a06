"""Every fold that ever wrote a journal, by its generation.

A change of what the fold derives makes a new generation; the old one stays, so that what
it wrote can be derived again by the fold that wrote it.
"""

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Final

from schemas.journal import Commit, CommitV2, FoldSettingsV1
from schemas.newer import WrittenByNewer

from .batch import GENERATION_1, GENERATION_2, NO_LOG, Batch, Limits, fold_batch

# Of the shape of ``fold_batch``.
Fold = Callable[..., Batch]
Generations = Mapping[int, Fold]


class UnknownGeneration(WrittenByNewer):
    """A journal names a fold that this program does not have: a newer one wrote it."""

    def __init__(self, generation: int, *, shard: int, commit: int) -> None:
        super().__init__(
            f"commit {commit} of shard {shard} was written by generation {generation} of "
            "the fold, which this program does not have; use the version that wrote it, "
            "or a newer one"
        )
        self.generation, self.shard, self.commit = generation, shard, commit


# What was committed is folded again whole, however it was bounded then.
UNLIMITED: Final = Limits(*[2**62] * len(Limits._fields))
_BY_NUMBER: Final = {each.number: each for each in (GENERATION_1, GENERATION_2)}
GENERATIONS: Final[Generations] = MappingProxyType(
    {
        number: partial(fold_batch, generation=each)
        for number, each in _BY_NUMBER.items()
    }
)


def fold_of(
    generations: Generations, generation: int, *, shard: int, commit: int
) -> Fold:
    """Return the fold that wrote a commit; raise ``UnknownGeneration`` without one."""
    fold = generations.get(generation)
    if fold is None:
        raise UnknownGeneration(generation, shard=shard, commit=commit)
    return fold


def settings_for(generation: int, settings: FoldSettingsV1) -> FoldSettingsV1:
    """Return the settings of a commit as another generation of the fold takes them.

    What that one does not know is left out; what the commit's did not know is as it is by
    default. A generation that is not known takes them as they are.
    """
    known = _BY_NUMBER.get(generation)
    return known.settings_of(settings) if known else settings


def log_of(commit: Commit) -> str:
    """Return the digest of the log that a commit names; ``NO_LOG`` if it names none."""
    return commit.log if isinstance(commit, CommitV2) else NO_LOG
