"""How fast a client speaks, so that servers have no reason to refuse it."""

# An edge takes 100 messages at once and 20 a second, pings and pongs included. The rest is
# room for those, and for messages that the network holds up and delivers together.
PER_S = 12.0
BURST = 60.0
_LEAST_PER_S = 0.5
_LEAST_BURST = 2.0
# Sums of floats: who waited exactly long enough may send.
_ROUNDING = 1e-6


class Pace:
    """A token bucket that every message takes one token from.

    It outlives connections. A server that allows less than this assumes says so when it
    closes the connection: ``slow_down`` then halves the pace for the life of the feed.
    """

    def __init__(self, *, per_s: float = PER_S, burst: float = BURST) -> None:
        self._per_s, self._burst = per_s, burst
        self._tokens, self._at_s = burst, 0.0

    def wait_s(self, *, now_s: float) -> float:
        """Return how long to wait before the next message; 0 when it may be sent now."""
        missing = 1.0 - self._tokens_at(now_s)
        return 0.0 if missing <= _ROUNDING else missing / self._per_s

    def spend(self, *, now_s: float) -> None:
        """Take the token of a message that is sent now."""
        self._tokens, self._at_s = self._tokens_at(now_s) - 1.0, now_s

    def slow_down(self) -> None:
        """Halve the pace, down to a message every two seconds."""
        self._per_s = max(_LEAST_PER_S, self._per_s / 2)
        self._burst = max(_LEAST_BURST, self._burst / 2)

    def _tokens_at(self, now_s: float) -> float:
        gained = max(0.0, now_s - self._at_s) * self._per_s
        return min(self._burst, self._tokens + gained)
