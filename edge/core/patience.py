"""How long to wait: for the log to come back, and for a client to show that it lives."""

from dataclasses import dataclass

_FIRST_S, _LONGEST_S = 0.2, 5.0
_DOUBLINGS = 10
# A beat this late was kept waiting by ourselves.
_LATE_S = 1.0


def delay_s(attempt: int, *, draw: float) -> float:
    """Return how long to wait after failure ``attempt`` (0, 1, …) in a row.

    ``draw`` is uniform in [0, 1): the upper half of the wait is left to chance, so that
    all who wait for one log do not come back at once.
    """
    longest: float = min(_FIRST_S * 2.0 ** min(attempt, _DOUBLINGS), _LONGEST_S)
    return longest * (1 + draw) / 2


def is_late(waited_s: float, *, planned_s: float) -> bool:
    """Tell whether a timer fired so late that our own loop must have stood still."""
    return waited_s - planned_s > _LATE_S


@dataclass(slots=True)
class Pulse:
    """Whether the other side of one connection is still there."""

    _asked: bool = False

    def heard(self) -> None:
        """Note a sign of life, whatever it was."""
        self._asked = False

    def beat(self, *, late: bool) -> bool:
        """Return whether to ping; ``False``: since the last ping there was no sign.

        Nobody is judged by a beat that is ``late``: answers may lie unread.
        """
        if self._asked and not late:
            return False
        self._asked = True
        return True
