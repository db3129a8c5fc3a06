"""Whether a connection that is open is alive."""

# How often to look.
TICK_S = 1.0
# Until a server says how often it gives a sign of life, and for those that never do: then
# they are asked for one as often.
DEFAULT_HEARTBEAT_S = 10.0
# A server that promises more often, or more rarely, is not taken at its word: the connection
# would end at once, or a dead one would pass for alive.
_LEAST_HEARTBEAT_S, _MOST_HEARTBEAT_S = 1.0, 120.0
_MISSED = 3
_LATE_TICKS = 3


class Liveness:
    """Knows when a server was heard last, and asks it for a sign of life if need be."""

    def __init__(self, *, now_s: float) -> None:
        self._heard_s = self._asked_s = self._ticked_s = now_s
        self._asks = True
        self._heartbeat_s = DEFAULT_HEARTBEAT_S

    @property
    def patience_s(self) -> float:
        """For how long a server may say nothing."""
        return _MISSED * self._heartbeat_s

    def promised(self, heartbeat_s: float) -> None:
        """Note that the server says something as often by itself."""
        bounded_s = max(_LEAST_HEARTBEAT_S, min(_MOST_HEARTBEAT_S, heartbeat_s))
        self._heartbeat_s, self._asks = bounded_s, False

    def heard(self, *, now_s: float) -> None:
        """Note a message, any."""
        self._heard_s = now_s

    def is_dead(self, *, now_s: float) -> bool:
        """Tell whether the server was silent for too long. To be asked every ``TICK_S``.

        When we stood still ourselves nothing can be told: what it said may lie unread.
        """
        late = now_s - self._ticked_s > _LATE_TICKS * TICK_S
        self._ticked_s = now_s
        if late:
            self._heard_s = now_s
        return now_s - self._heard_s > self.patience_s

    def is_due(self, *, now_s: float) -> bool:
        """Tell whether the server is to be asked for a sign of life; then it is asked."""
        if not self._asks or now_s - self._asked_s < self._heartbeat_s:
            return False
        self._asked_s = now_s
        return True
