"""How long to wait: for the log to come back, and for a client to show that it lives."""

from collections.abc import Mapping
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


@dataclass(slots=True)
class Progress:
    """Whether a client for whom something waits takes anything."""

    _since_s: float | None = None
    _backlog_bytes: int = 0

    def took(self) -> None:
        """Note that it took something, or that nothing waits."""
        self._since_s = None

    def stalled_s(self, backlog_bytes: int, *, now_s: float) -> float:
        """Return for how long it took nothing of what was written but not sent."""
        if self._since_s is None or backlog_bytes < self._backlog_bytes:
            self._since_s = now_s
        self._backlog_bytes = backlog_bytes
        return now_s - self._since_s


class Timetable:
    """Tasks that come again and again, each with its own interval, on one timer.

    ``now_s`` is monotonic. A task that comes late is not made up for.
    """

    def __init__(self, every_s: Mapping[str, float], *, now_s: float) -> None:
        self._every_s = dict(every_s)
        self._due_s = {name: now_s + each for name, each in every_s.items()}

    def wait_s(self, *, now_s: float) -> float:
        """Return how long nothing is due."""
        return max(0.0, min(self._due_s.values()) - now_s)

    def due(self, *, now_s: float) -> list[str]:
        """Return the tasks whose time has come."""
        found = [name for name, due_s in self._due_s.items() if due_s <= now_s]
        for name in found:
            self._due_s[name] = now_s + self._every_s[name]
        return found
