"""Why a key has the value it has, as data."""

from collections import Counter, deque
from dataclasses import dataclass, field

from schemas.journal import Commit, Decision
from schemas.topics import CHANGES

from .alone import Observation, Step
from .difference import Check, Difference, DifferenceFound, shown
from .subjects import Key

# Of the observations between two values so many are kept, the last ones.
KEPT = 500


@dataclass(frozen=True, slots=True)
class Change:
    """A value as published: its offset in ``changes``, and the commit that wrote it.

    ``value`` ``None`` withdrew the key. ``journal`` is the offset of the commit's record;
    this and the log time are ``None`` where retention has dropped the record.
    """

    offset: int
    value: bytes | None
    commit: int
    log_time: int | None
    journal: int | None


@dataclass(slots=True)
class Stretch:
    """Observations that came one after the other, and how often what was decided.

    ``passed`` counts those of the owner that came first where there are very many: none
    published the key, more is not said of them. Of the others ``silent`` counts those that
    say nothing about the key, ``decided`` all else.
    """

    decided: Counter[Decision] = field(default_factory=Counter)
    silent: int = 0
    passed: int = 0
    steps: deque[Step] = field(default_factory=lambda: deque(maxlen=KEPT))

    def add(self, step: Step) -> None:
        """Take in the next one."""
        if step.decision is None:
            self.silent += 1
            return
        self.decided[step.decision] += 1
        self.steps.append(step)


@dataclass(frozen=True, slots=True)
class Explanation:
    """What stood under a key after a commit of its shard, and why.

    ``value`` is the last change up to then, ``None`` if there was none; ``previous`` the
    one before. ``led`` are the observations after that of ``previous``, the last of them
    that which published ``value``; ``since`` are those after it. ``stands_on`` are the
    observations that the value names, ``commits`` those that read what is in ``led`` and
    ``since``, by number. What commits up to ``begins`` did cannot be derived, because history
    is gone; ``declared`` is the commit of the point that was declared for it, 0 if none was.
    """

    key: Key
    shard: int
    commit: int
    value: Change | None
    previous: Change | None
    led: Stretch
    since: Stretch
    stands_on: tuple[Observation, ...]
    commits: dict[int, Commit]
    begins: int = 0
    declared: int = 0


class Explaining:
    """Takes the steps of an owner in their order, and sorts them around two changes.

    Steps of commits up to ``begins`` do not come: history is gone.
    """

    def __init__(
        self,
        key: Key,
        shard: int,
        value: Change | None,
        previous: Change | None,
        *,
        begins: int = 0,
    ) -> None:
        self._key, self._shard = key, shard
        self._value, self._previous = value, previous
        self._has_begun = previous is None or previous.commit <= begins
        self._is_published = value is not None and value.commit <= begins
        # Of the commit of ``previous``: what it should be, if it never comes.
        self._instead: Step | None = None
        self.led, self.since = Stretch(), Stretch()

    def add(self, step: Step) -> None:
        """Take the next step; raise ``DifferenceFound`` if the log has no such change."""
        if step.decision is not Decision.PUBLISHED:
            if self._is_published or self._value is None:
                self.since.add(step)
            elif self._has_begun:
                self.led.add(step)
        elif self._is(step, self._value) and self._has_begun:
            self.led.add(step)
            self._is_published = True
        elif self._is(step, self._previous):
            self._has_begun = True
        elif self._has_begun:
            self._differs(step, self._value)
        elif self._previous and step.commit == self._previous.commit:
            self._instead = step

    def pass_over(self, count: int) -> None:
        """Say that the next ones are so many that no step of theirs comes."""
        if self._is_published or self._value is None:
            self.since.passed += count
        else:
            self.led.passed += count

    def _is(self, step: Step, change: Change | None) -> bool:
        if change is None or self._is_published:
            return False
        derived = step.published[self._key.key]
        return (step.commit, derived) == (change.commit, change.value)

    def end(self) -> None:
        """Say that there are no more; raise ``DifferenceFound`` if no step published."""
        if not self._has_begun:
            self._differs(self._instead, self._previous)
        if self._value is not None and not self._is_published:
            self._differs(None, self._value)

    def _differs(self, step: Step | None, found: Change | None) -> None:
        derived = shown(step.published[self._key.key]) if step else "no such change"
        commits = [each.commit for each in (step, found) if each]
        raise DifferenceFound(
            Difference(
                Check.CHANGES,
                self._shard,
                commit=commits[0],
                topic=CHANGES,
                expected=derived,
                found=shown(found.value) if found else "nothing",
                offset=found.offset if found else None,
                key=shown(self._key.key),
            )
        )
