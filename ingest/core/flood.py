"""Notices a peer that sends more than it can have to say."""

from dataclasses import dataclass


@dataclass(slots=True)
class Flood:
    """Counts what one connection sends in windows of ``window_s``; time is an argument."""

    max_bytes: int
    max_frames: int
    window_s: float
    _began_s: float = float("-inf")
    _bytes: int = 0
    _frames: int = 0

    def take_bytes(self, count: int, *, now_s: float) -> None:
        """Count bytes that came."""
        self._turn(now_s)
        self._bytes += count

    def take_frame(self, *, now_s: float) -> None:
        """Count a frame that came, of whatever kind: an empty one costs work too."""
        self._turn(now_s)
        self._frames += 1

    @property
    def is_flooded(self) -> bool:
        """Whether more came in this window than there can be to say."""
        return self._bytes > self.max_bytes or self._frames > self.max_frames

    def _turn(self, now_s: float) -> None:
        if now_s - self._began_s >= self.window_s:
            self._began_s, self._bytes, self._frames = now_s, 0, 0
