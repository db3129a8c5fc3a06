"""Refresh requests: one in each interval and kind, however many ask."""

from collections.abc import Iterable

from schemas.demand import RefreshKind


class RefreshGate:
    """Lets one request of each kind through in ``interval_s``; the others become one.

    ``now_s`` is monotonic.
    """

    def __init__(self, *, interval_s: float) -> None:
        self._interval_s = interval_s
        self._asked: dict[RefreshKind, None] = {}
        self._open_at_s: dict[RefreshKind, float] = {}

    def ask(self, kind: RefreshKind) -> None:
        """Note that somebody wants a reading."""
        self._asked[kind] = None

    def due(self, *, now_s: float) -> list[RefreshKind]:
        """Return the kinds whose request may go now."""
        return [kind for kind in self._asked if self._wait_s(kind, now_s) <= 0]

    def served(self, kinds: Iterable[RefreshKind], *, now_s: float) -> None:
        """Note that requests went out."""
        for kind in kinds:
            self._asked.pop(kind, None)
            self._open_at_s[kind] = now_s + self._interval_s

    def wait_s(self, *, now_s: float) -> float | None:
        """Return how long until the next request may go; ``None`` until somebody asks."""
        return min((self._wait_s(kind, now_s) for kind in self._asked), default=None)

    def _wait_s(self, kind: RefreshKind, now_s: float) -> float:
        return max(0.0, self._open_at_s.get(kind, now_s) - now_s)
