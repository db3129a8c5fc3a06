"""Where to connect next, and after how long."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit, urlunsplit

from stacks_feed_client.core.party import PartyName
from stacks_feed_client.core.reading import line

BASE_S = 0.5
CAP_S = 20.0
# A connection that lived so long was good: the next trouble is a new one.
STABLE_S = 10.0
_MAX_RETRY_AFTER_S = 3_600.0
_MAX_DIGITS = 9
_MAX_DATE = 100
# An address that refused for good is tried again after this, while others are in use.
_REFUSED_S = 3_600.0
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


def redirected_to(location: str) -> str:
    """Return a ``Location`` as it may stand in a log, whatever it is.

    A server may repeat what stood in our own address, secrets included.
    """
    try:
        return line(shown(location))
    except ValueError:
        return "an address that cannot be read"


def delay_s(attempt: int, *, draw: float) -> float:
    """Return the wait before another attempt: exponential, capped, with full jitter.

    ``attempt`` counts from 0; ``draw`` is uniform in [0, 1).
    """
    # The exponent is bounded, else a float overflows after a thousand failures.
    return draw * min(CAP_S, BASE_S * 2.0 ** min(attempt, 32))


def retry_after_s(headers: Iterable[str], *, dates: Iterable[str] = ()) -> float | None:
    """Return how long the ``Retry-After`` headers ask to wait, from 0 to an hour.

    A moment counts from the ``Date`` of the same answer: clocks differ. Of several the
    longest wait counts. ``None``: they say nothing, or nothing that can be read.
    """
    now = next(filter(None, map(_moment, dates)), None)
    waits_s = [_wait_s(said, now) for said in headers]
    return max((each for each in waits_s if each is not None), default=None)


def _wait_s(said: str, now: datetime | None) -> float | None:
    if said.isascii() and said.isdigit() and len(said) <= _MAX_DIGITS:
        return min(_MAX_RETRY_AFTER_S, float(said))
    until = _moment(said)
    if until is None or now is None:
        return None
    return min(_MAX_RETRY_AFTER_S, max(0.0, (until - now).total_seconds()))


def _moment(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text[:_MAX_DATE])
    except (ValueError, IndexError, OverflowError, TypeError):
        # What it raises depends on what is wrong, and is not documented.
        return None
    return moment if moment.tzinfo is not None else None


class Itinerary:
    """Goes round the addresses; one that asked to be left alone for a while is.

    One that refused for good is left out while there are others, for an hour at most, or
    until one of them held a connection for a while.
    """

    def __init__(self, urls: Sequence[str]) -> None:
        if not urls:
            raise ValueError("no address to connect to")
        self._urls, self._at = tuple(urls), 0
        self._attempt = 0
        self._not_before_s = [0.0] * len(self._urls)
        self._refused_until_s: dict[int, float] = {}

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
        is_refused: bool = False,
    ) -> float | None:
        """Move on after a connection was lost or refused; return how long to wait.

        ``is_refused``: this address will never have us. ``None``: nor will any other, and
        there is nowhere to go.
        """
        if lived_s >= STABLE_S:
            self._attempt = 0
            self._refused_until_s.clear()
        if is_refused:
            self._refused_until_s[self._at] = now_s + _REFUSED_S
        if retry_after_s is not None:
            self._not_before_s[self._at] = now_s + retry_after_s
        jitter_s = delay_s(self._attempt, draw=draw)
        self._attempt += 1
        wait_s = self._move_on(now_s)
        return None if wait_s is None else wait_s + jitter_s

    def dismissed(self, *, now_s: float, back_at_s: float, draw: float) -> float:
        """Move on after a notice of when to come back; return how long to wait.

        Another address is tried at once. Back at the same one there is no jitter of ours:
        that moment was drawn by the server.
        """
        self._attempt = 0
        left = self._at
        self._not_before_s[left] = back_at_s
        wait_s = self._move_on(now_s) or 0.0
        return wait_s if self._at == left else wait_s + delay_s(0, draw=draw)

    def _move_on(self, now_s: float) -> float | None:
        """Choose the next address; return how long it is to be left alone."""
        count = len(self._urls)
        waits_s = {
            at: max(0.0, self._not_before_s[at] - now_s)
            for at in ((self._at + step) % count for step in range(1, count + 1))
            if self._refused_until_s.get(at, now_s) <= now_s
        }
        if not waits_s:
            return None
        self._at = min(waits_s, key=waits_s.__getitem__)
        return waits_s[self._at]
