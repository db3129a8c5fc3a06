"""Which upstreams are silent: one state machine for each source, driven by its client.

======== =============================================================================
state    meaning
======== =============================================================================
QUIET    nothing was asked since the last usable answer, so no answer is missing
ASKED    asked, and no usable answer since
SILENT   as ASKED, for longer than the window of the source: an operator is told
======== =============================================================================

============= ============== ============== ==========================================
event         QUIET          ASKED          SILENT
============= ============== ============== ==========================================
asked         ASKED          ASKED          SILENT
answered      QUIET          QUIET          QUIET, and the silence has ended
failed        ASKED          ASKED          SILENT; the newest reason is kept
refused       QUIET          QUIET or ASKED SILENT
advance       QUIET          SILENT if due  SILENT
release       QUIET          QUIET          QUIET, without a word: others ask it now
============= ============== ============== ==========================================

A source is *refused* when it declined one subject (a user, a contract). That says nothing
about the source, unless ``SUBJECTS`` different ones in a row were declined: that is a failure.

The window is two intervals of the source, and at least the floor, from the last usable
answer. A source that was not asked for a while gets at least one interval from the first
request on, and one that never answered the whole window.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum

# So many different subjects declined in a row are a failure of the source.
SUBJECTS = 5
_INTERVALS = 2
# A source whose newest time is older than this, by its own word, repeats old values.
OLD_MS = 3_600_000
# A time before this (2009) is none: it is in other units, or not set.
_FIRST_MS = 1_230_768_000_000
_SECONDS_UNTIL_MINUTES = 180


class SourceKind(Enum):
    """The kind of readings that a source gives."""

    PRICES = "prices"
    TOKENS = "tokens"
    ACCOUNTS = "accounts"
    SUBNETS = "subnets"


class Cause(Enum):
    """Why an answer was not usable, as far as it decides what an operator can do."""

    UNREACHABLE = "unreachable"
    MOVED = "moved"
    MISSING = "missing"
    KEY = "key"
    LIMITED = "limited"
    TROUBLED = "troubled"
    UNUSABLE = "unusable"
    DECLINED = "declined"


@dataclass(frozen=True, slots=True)
class Failure:
    """One answer that was not usable: ``why`` in words, and what kind of trouble it is."""

    why: str
    cause: Cause


NO_ANSWER = Failure("no answer yet", Cause.UNREACHABLE)


@dataclass(frozen=True, slots=True)
class SilenceChange:
    """A silence that began or ended, for the log; ``lasted_s`` is how long there was none."""

    source: str
    kind: SourceKind
    silent: bool
    lasted_s: float
    failure: Failure


@dataclass(slots=True)
class _Source:
    kind: SourceKind
    interval_s: float
    window_s: float
    answered_s: float | None = None
    # When the first request after the last usable answer went out; ``None`` is QUIET.
    asked_s: float | None = None
    failure: Failure | None = None
    declined: set[str] = field(default_factory=set)
    silent: bool = False

    @property
    def due_s(self) -> float | None:
        """When the source is silent unless it answers; ``None`` while nothing is missing."""
        if self.asked_s is None:
            return None
        if self.answered_s is None:
            return self.asked_s + self.window_s
        return max(self.answered_s, self.asked_s - self.interval_s) + self.window_s

    @property
    def since_s(self) -> float:
        """Since when an answer is missing: the last one, else the first request."""
        if self.answered_s is not None:
            return self.answered_s
        return self.asked_s or 0.0


class SilenceMonitor:
    """The states of all sources; time is always an argument.

    Events return nothing; ``changes`` drains what began and ended. A source that was not
    announced with ``expect`` is not followed: its events are ignored.
    """

    def __init__(self, *, floor_s: float) -> None:
        self._floor_s = floor_s
        self._sources: dict[str, _Source] = {}
        self._changes: deque[SilenceChange] = deque()

    def expect(self, source: str, kind: SourceKind, *, interval_s: float) -> None:
        """Follow a source from now on, which is asked once an interval."""
        window_s = max(_INTERVALS * interval_s, self._floor_s)
        self._sources[source] = _Source(kind, interval_s, window_s)

    def asked(self, source: str, *, now_s: float) -> None:
        """Note that a request went out."""
        known = self._sources.get(source)
        if known is not None and known.asked_s is None:
            known.asked_s = now_s

    def answered(self, source: str, *, now_s: float) -> None:
        """Note a usable answer."""
        known = self._sources.get(source)
        if known is None:
            return
        if known.silent:
            self._tell(source, known, silent=False, now_s=now_s)
        _reset(known)
        known.answered_s = now_s

    def failed(self, source: str, failure: Failure, *, now_s: float) -> None:
        """Note a request that gave no usable answer."""
        known = self._sources.get(source)
        if known is not None:
            known.failure = failure
            if known.asked_s is None:
                known.asked_s = now_s

    def refused(
        self, source: str, subject: str, failure: Failure, *, now_s: float
    ) -> None:
        """Note that the source declined what was asked of one subject."""
        known = self._sources.get(source)
        if known is None:
            return
        if len(known.declined) < SUBJECTS:
            known.declined.add(subject)
        if len(known.declined) >= SUBJECTS:
            self.failed(source, failure, now_s=now_s)
        elif known.failure is None and not known.silent:
            # The request that it answered is no longer one without an answer.
            known.asked_s = None

    def release(self, sources: Iterable[str]) -> None:
        """Forget how sources are: nobody here asks them any more."""
        for source in sources:
            known = self._sources.get(source)
            if known is not None:
                _reset(known)
                known.answered_s = None

    def advance(self, *, now_s: float) -> None:
        """Let time pass: sources whose window is over are silent."""
        for source, known in self._sources.items():
            due_s = known.due_s
            if due_s is not None and due_s <= now_s and not known.silent:
                known.silent = True
                self._tell(source, known, silent=True, now_s=now_s)

    def changes(self) -> list[SilenceChange]:
        """Return what began and ended since the last call."""
        drained = list(self._changes)
        self._changes.clear()
        return drained

    def silent(self) -> list[str]:
        """Return the sources that are silent now."""
        return [source for source, known in self._sources.items() if known.silent]

    def warnings(self, *, now_s: float) -> list[str]:
        """Return a line for each silent source: how long, why, and what to do."""
        return [
            _line(source, known, now_s=now_s)
            for source, known in self._sources.items()
            if known.silent
        ]

    def _tell(self, source: str, known: _Source, *, silent: bool, now_s: float) -> None:
        lasted_s = now_s - known.since_s
        failure = known.failure or NO_ANSWER
        self._changes.append(
            SilenceChange(source, known.kind, silent, lasted_s, failure)
        )


def _reset(known: _Source) -> None:
    known.asked_s, known.failure, known.silent = None, None, False
    known.declined.clear()


def _line(source: str, known: _Source, *, now_s: float) -> str:
    failure = known.failure or NO_ANSWER
    age = duration(now_s - known.since_s)
    return (
        f"{source} ({known.kind.value}): no usable answer for {age}, {failure.why}: "
        f"{remedy(source, known.kind, failure.cause)}"
    )


def duration(seconds: float) -> str:
    """Return a time span as operators say it: ``84 s``, ``12 min``, ``3.5 h``, ``9 d``."""
    if seconds < _SECONDS_UNTIL_MINUTES:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    if minutes < _SECONDS_UNTIL_MINUTES:
        return f"{minutes:.0f} min"
    hours = minutes / 60
    return f"{hours:.1f} h" if hours < 2 * 24 else f"{hours / 24:.0f} d"


# The setting with the address of each source.
_URLS = {
    "hiro": "STACKS_FEED_HIRO_URL",
    "hiro-metadata": "STACKS_FEED_HIRO_URL",
    "subnet-call": "STACKS_FEED_HIRO_URL",
    "kraxel": "STACKS_FEED_KRAXEL_URL",
    "stxtools": "STACKS_FEED_STXTOOLS_URL",
    "internal": "STACKS_FEED_INVEST_URL",
    "charisma": "STACKS_FEED_TOKENS_URL",
}


# What an operator can do, by the cause of a silence. Remedies for prices and for Hiro take
# precedence.
_REMEDIES = {
    Cause.UNREACHABLE: "check the network, a proxy, and {url}",
    Cause.MOVED: "set {url} to where it is now",
    Cause.MISSING: "correct {url}",
    Cause.KEY: "see whether this address is blocked there, and {url}",
    Cause.LIMITED: "lower STACKS_FEED_SOURCE_PER_MINUTE",
    Cause.TROUBLED: "its own trouble: the last values stay until it answers again",
    Cause.UNUSABLE: "check {url}; if it is right, its answers have changed: upgrade",
    Cause.DECLINED: "check {url}; if it is right, it takes other requests now: upgrade",
}
_REMEDIES_FOR_PRICES = {
    Cause.MISSING: "correct {url}, or take it out of STACKS_FEED_PRICE_SOURCES if it is gone",
}
_REMEDIES_FOR_HIRO = {
    Cause.KEY: "correct STACKS_FEED_HIRO_API_KEY",
    Cause.LIMITED: "get a key, or lower STACKS_FEED_HIRO_PER_MINUTE",
}


def remedy(source: str, kind: SourceKind, cause: Cause) -> str:
    """Return what an operator can do about a silent source."""
    url = _URLS.get(source, "its address")
    special: dict[Cause, str] = {}
    if kind is SourceKind.PRICES:
        special = _REMEDIES_FOR_PRICES
    elif url == _URLS["hiro"]:
        special = _REMEDIES_FOR_HIRO
    return special.get(cause, _REMEDIES[cause]).format(url=url)


class SourceTimes:
    """The newest time that each source gives its own values, and which repeat old ones.

    Judged when a source answers: while it does not, it is silent, which is said elsewhere.
    """

    def __init__(self) -> None:
        self._newest_ms: dict[str, int] = {}
        self._observed_ms: dict[str, int] = {}

    def said(
        self, source: str, times_ms: Iterable[int | None], *, observed_ms: int
    ) -> None:
        """Take the times in one answer; those that are none, or in the future, are cut."""
        told = [
            min(time_ms, observed_ms)
            for time_ms in times_ms
            if time_ms is not None and time_ms >= _FIRST_MS
        ]
        if told:
            self._newest_ms[source] = max(told)
            self._observed_ms[source] = observed_ms
        else:
            self._newest_ms.pop(source, None)

    def newest_ms(self, source: str) -> int | None:
        """Return the newest time that a source gave in its last answer, if it gave one."""
        return self._newest_ms.get(source)

    def old(self) -> list[str]:
        """Return the sources whose newest time is more than an hour before their answer."""
        return [source for source in self._newest_ms if self._age_ms(source) > OLD_MS]

    def warnings(self) -> list[str]:
        """Return a line for each source that repeats old values."""
        return [
            f"{source}: by its own word its newest price is "
            f"{duration(self._age_ms(source) / 1_000)} old; ask its operator, or take it "
            "out of STACKS_FEED_PRICE_SOURCES"
            for source in self.old()
        ]

    def _age_ms(self, source: str) -> int:
        return self._observed_ms[source] - self._newest_ms[source]
