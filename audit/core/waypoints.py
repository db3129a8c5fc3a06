"""Now and then a commit, with where all that it reads begins: where looking may start."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from schemas.journal import Commit

SPARSE = 16


@dataclass(frozen=True, slots=True)
class Waypoint:
    """A commit by number, its offset in the journal, and where its inputs begin."""

    commit: int
    offset: int
    starts: Mapping[str, int]


@dataclass(slots=True)
class Way:
    """Follows a journal and keeps every sixteenth commit.

    ``ends`` is how far each raw topic is read before the next commit.
    """

    ends: dict[str, int] = field(default_factory=dict)

    def follow(self, commits: Sequence[tuple[int, Commit]]) -> Iterator[Waypoint]:
        """Yield the waypoints among commits that come with their offsets."""
        for offset, said in commits:
            starts = {topic: part.start for topic, part in said.inputs.items()}
            if said.commit % SPARSE == 1:
                at = {**self.ends, **starts}
                yield Waypoint(said.commit, offset, at)
            self.ends |= {topic: part.end for topic, part in said.inputs.items()}
