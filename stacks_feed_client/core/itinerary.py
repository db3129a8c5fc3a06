"""Where to connect next, and after how long."""

from collections.abc import Sequence
from datetime import datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit, urlunsplit

from stacks_feed_client.core.party import PartyName

BASE_S = 0.5
CAP_S = 20.0
# A connection that lived so long was good: the next trouble is a new one.
STABLE_S = 10.0
_MAX_RETRY_AFTER_S = 3_600.0
_MAX_DIGITS = 9
_SCHEMES = {"ws": "ws", "wss": "wss", "http": "ws", "https": "wss"}


def address(url: str, party: PartyName) -> str:
    """Return the address of a party; a ``url`` with a path is taken as it is.

    Raises ``ValueError`` for what is no ``ws``, ``wss``, ``http`` or ``https`` address.
    """
    parts = urlsplit(url)
    if parts.scheme not in _SCHEMES or not parts.hostname:
        raise ValueError(f"{url!r} is no ws:// or wss:// address")
    # Raise ValueError now for what could not be connected to later.
    _ = parts.port, parts.hostname.encode("idna")
    path = parts.path if parts.path not in {"", "/"} else f"/parties/{party}/main"
    return urlunsplit((_SCHEMES[parts.scheme], parts.netloc, path, parts.query, ""))


def shown(url: str) -> str:
    """Return an address as it may stand in a log: who we are, and a token, left out."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", ""))


def delay_s(attempt: int, *, draw: float) -> float:
    """Return the wait before another attempt: exponential, capped, with full jitter.

    ``attempt`` counts from 0; ``draw`` is uniform in [0, 1).
    """
    # The exponent is bounded, else a float overflows after a thousand failures.
    return draw * min(CAP_S, BASE_S * 2.0 ** min(attempt, 32))


def retry_after_s(said: str | None, *, date: str | None = None) -> float | None:
    """Return how long a ``Retry-After`` asks to wait, from 0 to an hour.

    A moment counts from the ``Date`` of the same answer: clocks differ. ``None``: it says
    nothing, or nothing that can be read.
    """
    if said is None:
        return None
    if said.isascii() and said.isdigit() and len(said) <= _MAX_DIGITS:
        return min(_MAX_RETRY_AFTER_S, float(said))
    until, now = _moment(said), _moment(date)
    if until is None or now is None:
        return None
    return min(_MAX_RETRY_AFTER_S, max(0.0, (until - now).total_seconds()))


def _moment(text: str | None) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text) if text else None
    except (ValueError, IndexError):
        return None
    return moment if moment is not None and moment.tzinfo is not None else None


class Itinerary:
    """Goes round the addresses; one that asked to be left alone for a while is."""

    def __init__(self, urls: Sequence[str]) -> None:
        if not urls:
            raise ValueError("no address to connect to")
        self._urls, self._at = tuple(urls), 0
        self._attempt = 0
        self._not_before_s = [0.0] * len(self._urls)

    @property
    def url(self) -> str:
        """Where to connect now."""
        return self._urls[self._at]

    def lost(
        self,
        *,
        now_s: float,
        lived_s: float,
        draw: float,
        retry_after_s: float | None = None,
    ) -> float:
        """Move on after a connection was lost or refused; return how long to wait."""
        if lived_s >= STABLE_S:
            self._attempt = 0
        if retry_after_s is not None:
            self._not_before_s[self._at] = now_s + retry_after_s
        jitter_s = delay_s(self._attempt, draw=draw)
        self._attempt += 1
        return self._move_on(now_s) + jitter_s

    def dismissed(self, *, now_s: float, back_at_s: float) -> float:
        """Move on after a notice of when to come back, anywhere; return how long to wait.

        That moment was drawn by the server, so there is no jitter of ours.
        """
        self._attempt = 0
        return max(self._move_on(now_s), back_at_s - now_s)

    def _move_on(self, now_s: float) -> float:
        count = len(self._urls)
        order = [(self._at + step) % count for step in range(1, count + 1)]
        waits_s = {at: max(0.0, self._not_before_s[at] - now_s) for at in order}
        self._at = min(order, key=waits_s.__getitem__)
        return waits_s[self._at]
