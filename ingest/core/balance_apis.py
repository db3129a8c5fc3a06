"""Which generation of Hiro's balance API is read, and when one that was gone is tried again.

A 410 says that a generation was switched off. A gateway can say so by mistake, and for all of
them, so no generation is given up for good:

==============  =====================  ==========================================
generation      event                  then
==============  =====================  ==========================================
in use          it is gone             the next one that is not gone is in use
gone            its wait is over       one reading tries it; the wait is doubled
gone, on trial  it answers             it is in use if it comes before the others
all are gone    it does not answer     the one that was asked least recently is in use
==============  =====================  ==========================================

The order is the chosen generation, the newer ones, then the older ones.
"""

from dataclasses import dataclass

GENERATIONS = (1, 2, 3)
# One request an hour is no burden to anybody; the first wait is short, as a slip may be.
FIRST_WAIT_S = 300.0
LONGEST_WAIT_S = 3_600.0


@dataclass(slots=True)
class _Gone:
    """A generation that is gone; ``is_tried`` once a reading tried it again."""

    wait_s: float
    again_s: float
    is_tried: bool = False


class BalanceApis:
    """Chooses among the generations; times are of a monotonic clock, in seconds."""

    def __init__(self, chosen: int) -> None:
        newer = [each for each in GENERATIONS if each > chosen]
        older = [each for each in reversed(GENERATIONS) if each < chosen]
        self._order = (chosen, *newer, *older)
        # Those that are gone, the one that was asked least recently first.
        self._gone: dict[int, _Gone] = {}
        # When a generation came back, and how long the wait for it was.
        self._back: dict[int, tuple[float, float]] = {}

    @property
    def chosen(self) -> int:
        """The generation that the settings name."""
        return self._order[0]

    @property
    def in_use(self) -> int:
        """The generation to read."""
        there = [each for each in self._order if each not in self._gone]
        return there[0] if there else next(iter(self._gone))

    @property
    def are_all_gone(self) -> bool:
        """Whether there is none left that is not gone."""
        return len(self._gone) == len(self._order)

    def has_successor(self, generation: int) -> bool:
        """Tell whether another generation takes over should this one be gone."""
        return any(
            each != generation and each not in self._gone for each in self._order
        )

    def take_trial(self, *, now_s: float) -> int | None:
        """Return a better generation than the one in use that is due to be tried, if any.

        It is due once: whoever takes it tries it, and nobody else until its next wait is over.
        """
        if self.are_all_gone:
            # Each reading asks another one as it is.
            return None
        for generation in self._order[: self._order.index(self.in_use)]:
            gone = self._gone[generation]
            if now_s >= gone.again_s:
                gone.wait_s = min(2 * gone.wait_s, LONGEST_WAIT_S)
                gone.again_s = now_s + gone.wait_s
                gone.is_tried = True
                return generation
        return None

    def note_gone(self, generation: int, *, now_s: float) -> bool:
        """Note that a generation is gone; return whether another takes over that is not.

        Several readings may meet the same 410; it moves us on once. Where all are gone, this
        lets the next reading ask another one.
        """
        if generation != self.in_use:
            return False
        known = self._gone.pop(generation, None)
        wait_s = known.wait_s if known else self._first_wait_s(generation, now_s)
        is_tried = known is not None
        self._gone[generation] = _Gone(wait_s, now_s + wait_s, is_tried=is_tried)
        return not self.are_all_gone

    def note_answer(self, generation: int, *, now_s: float) -> bool:
        """Note that a generation gave a reading; return whether it was gone before.

        An answer to a request that went out before it was gone brings nothing back.
        """
        gone = self._gone.get(generation)
        if gone is None or not (gone.is_tried or generation == self.in_use):
            return False
        del self._gone[generation]
        self._back[generation] = (now_s, gone.wait_s)
        return True

    def _first_wait_s(self, generation: int, now_s: float) -> float:
        """Return the first wait; for what comes and goes, twice the last one."""
        back_s, wait_s = self._back.pop(generation, (0.0, 0.0))
        if wait_s and now_s - back_s < LONGEST_WAIT_S:
            return min(2 * wait_s, LONGEST_WAIT_S)
        return FIRST_WAIT_S
