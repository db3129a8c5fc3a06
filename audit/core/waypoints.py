"""What of a journal is noted in the index: where looking may start, and by which rules.

Now and then a commit, with where all that it reads begins; and each commit from which on
another fold or other settings hold, or before which something was left out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from schemas.base import encode
from schemas.journal import Commit

SPARSE = 16


@dataclass(frozen=True, slots=True)
class Waypoint:
    """A commit by number, its offset in the journal, and where its inputs begin."""

    commit: int
    offset: int
    starts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Era:
    """The first commit of a stretch of commits that fold by the same rules, gapless.

    ``ends`` is how far each topic was read before it, ``starts`` where those that it reads
    are read on.
    """

    commit: int
    ends: Mapping[str, int]
    starts: Mapping[str, int]


class Noted(NamedTuple):
    """What is worth a note of some commits."""

    waypoints: Sequence[Waypoint]
    eras: Sequence[Era]


@dataclass(slots=True)
class Way:
    """Follows a journal; keeps every sixteenth commit, and where eras begin.

    ``ends`` is how far each raw topic is read before the next commit, ``rules`` what the
    last commit was folded by, none before the first.
    """

    ends: dict[str, int] = field(default_factory=dict)
    rules: str = ""

    def follow(self, commits: Sequence[tuple[int, Commit]]) -> Noted:
        """Return what is to be noted of commits that come with their offsets."""
        waypoints: list[Waypoint] = []
        eras: list[Era] = []
        for offset, said in commits:
            starts = {topic: part.start for topic, part in said.inputs.items()}
            if said.commit % SPARSE == 1:
                at = {**self.ends, **starts}
                waypoints.append(Waypoint(said.commit, offset, at))
            if self._is_new(said, starts):
                eras.append(Era(said.commit, dict(self.ends), starts))
            self.ends |= {topic: part.end for topic, part in said.inputs.items()}
        return Noted(waypoints, eras)

    def _is_new(self, said: Commit, starts: Mapping[str, int]) -> bool:
        rules = f"{said.generation} {encode(said.settings).decode()}"
        has_gap = any(at != self.ends.get(topic, 0) for topic, at in starts.items())
        is_new = has_gap or rules != self.rules
        self.rules = rules
        return is_new


class Span(NamedTuple):
    """Offsets of a topic that commits of one era read: ``start`` and all before ``end``.

    ``end`` is ``None`` for those of the last era.
    """

    start: int
    end: int | None


def spans(eras: Sequence[Era], topic: str) -> list[Span]:
    """Return what was read of a topic, era by era; what is in none was left out."""
    starts = [era.starts.get(topic, era.ends.get(topic, 0)) for era in eras]
    ends = [*(era.ends.get(topic, 0) for era in eras[1:]), None][: len(eras)]
    return [Span(*each) for each in zip(starts, ends, strict=True)]
