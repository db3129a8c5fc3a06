"""How a thread that looks now and then waits, is woken, and learns to stop."""

from threading import Event


class Pace:
    """Shared by the thread that looks and those who wake or stop it."""

    def __init__(self) -> None:
        self._news = Event()
        self._stopped = False

    def wake(self) -> None:
        """End the wait under way, or else the next."""
        self._news.set()

    def stop(self) -> None:
        """Tell the thread to end; it is not waited for."""
        self._stopped = True
        self._news.set()

    def goes_on(self, *, after_s: float) -> bool:
        """Wait until woken, at most ``after_s``; return whether to go on."""
        self._news.wait(after_s)
        if not self._stopped:
            self._news.clear()
        return not self._stopped
