"""How much is allowed: rates that fill up again with time, and counts of what is open.

Time is an argument, monotonic and in seconds. What is kept of those who ask is bounded:
a bucket that must be full again is as good as none, and is dropped.
"""

from collections import Counter, OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

_Key = TypeVar("_Key", bound=Hashable)
# Of those who asked lately; whoever comes on top of them shares one bucket.
MOST_BUCKETS = 100_000
# Of those that are as good as none, each time somebody asks: nobody waits for them all.
_DROPPED_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class Rate:
    """``burst`` at once and ``per_s`` a second in the long run; 0 a second is no limit."""

    per_s: float = 0.0
    burst: float = 1.0

    @property
    def is_limit(self) -> bool:
        """Whether there is anything to be held to."""
        return self.per_s > 0

    @property
    def most(self) -> float:
        """What a full bucket holds: one at least."""
        return max(self.burst, 1.0)


NO_LIMIT = Rate()


class Bucket:
    """What one may still do: full at first, and again after a while."""

    __slots__ = ("_at_s", "_left", "_rate")

    def __init__(self, rate: Rate, *, now_s: float) -> None:
        self._rate, self._left, self._at_s = rate, rate.most, now_s

    def take(self, *, now_s: float) -> bool:
        """Use one up; ``False``, and nothing is used, when none is left."""
        rate = self._rate
        if not rate.is_limit:
            return True
        gained = max(0.0, now_s - self._at_s) * rate.per_s
        self._left, self._at_s = min(rate.most, self._left + gained), now_s
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True

    def is_full(self, *, now_s: float) -> bool:
        """Tell whether so long passed since it was last looked into that it is full."""
        return now_s - self._at_s >= self._rate.most / self._rate.per_s


class Buckets(Generic[_Key]):
    """A bucket for each who asks. At most ``most`` are kept."""

    def __init__(self, rate: Rate, *, most: int = MOST_BUCKETS) -> None:
        self._rate, self._most = rate, most
        # Who asked last stands last: what has been idle longest is found at once.
        # (A plain dict looks for its first entry past all those dropped before.)
        self._by_key: OrderedDict[_Key, Bucket] = OrderedDict()
        self._shared: Bucket | None = None

    def __len__(self) -> int:
        """Return how many are kept."""
        return len(self._by_key)

    def take(self, key: _Key, *, now_s: float) -> bool:
        """Use up one of what a key may do; ``False`` when it may do no more for now."""
        if not self._rate.is_limit:
            return True
        self._drop_full(now_s)
        bucket = self._by_key.pop(key, None)
        if bucket is None and len(self._by_key) >= self._most:
            self._shared = self._shared or Bucket(self._rate, now_s=now_s)
            return self._shared.take(now_s=now_s)
        if bucket is None:
            bucket = Bucket(self._rate, now_s=now_s)
        self._by_key[key] = bucket
        return bucket.take(now_s=now_s)

    def _drop_full(self, now_s: float) -> None:
        for _ in range(min(len(self._by_key), _DROPPED_AT_ONCE)):
            bucket = next(iter(self._by_key.values()))
            if not bucket.is_full(now_s=now_s):
                return
            self._by_key.popitem(last=False)


class Spending(Generic[_Key]):
    """One account for each key, for costs that are known only afterwards.

    A key with anything left may ask, and its account may end below zero: then it waits
    until the rate has made up for it. At most ``most`` accounts are kept; further keys
    share one more.
    """

    def __init__(self, rate: Rate, *, most: int = MOST_BUCKETS) -> None:
        self._rate, self._most = rate, most
        # The balance of each account and when it was that; the last one to spend is last.
        self._left: OrderedDict[_Key | None, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        """Return how many are kept."""
        return len(self._left)

    def wait_s(self, key: _Key, *, now_s: float) -> float:
        """Return for how long a key may not ask; 0 when it may."""
        if not self._rate.is_limit:
            return 0.0
        left = self._now_left(self._account(key), now_s)
        return max(0.0, (1.0 - left) / self._rate.per_s)

    def spend(self, key: _Key, amount: float, *, now_s: float) -> None:
        """Take an amount from what is left to a key."""
        if not self._rate.is_limit:
            return
        self._drop_full(now_s)
        account = self._account(key)
        left = self._now_left(account, now_s) - amount
        self._left[account] = left, now_s
        self._left.move_to_end(account)

    def _account(self, key: _Key) -> _Key | None:
        is_kept = key in self._left or len(self._left) < self._most
        return key if is_kept else None

    def _now_left(self, account: _Key | None, now_s: float) -> float:
        most = self._rate.most
        left, at_s = self._left.get(account, (most, now_s))
        return min(most, left + max(0.0, now_s - at_s) * self._rate.per_s)

    def _drop_full(self, now_s: float) -> None:
        for _ in range(min(len(self._left), _DROPPED_AT_ONCE)):
            account = next(iter(self._left))
            if self._now_left(account, now_s) < self._rate.most:
                return
            del self._left[account]


class Full(Enum):
    """Whose share is used up."""

    ADDRESS = "address"
    ALL = "all"


class Census(Generic[_Key]):
    """How many are in, of each and in all; 0 is no limit.

    Who is turned away is not counted, so that one who knocks without end keeps nobody
    else out.
    """

    def __init__(self, *, most: int, most_each: int) -> None:
        self._most, self._most_each = most, most_each
        self._in_all = 0
        self._each: Counter[_Key] = Counter()

    def __len__(self) -> int:
        """Return how many are in."""
        return self._in_all

    def enter(self, key: _Key | None) -> Full | None:
        """Let one in; or return why not. ``None`` as a key counts only in all."""
        if key is not None and self._most_each and self._each[key] >= self._most_each:
            return Full.ADDRESS
        if self._most and self._in_all >= self._most:
            return Full.ALL
        self._in_all += 1
        if key is not None:
            self._each[key] += 1
        return None

    def leave(self, key: _Key | None) -> None:
        """Let out one that was let in."""
        self._in_all -= 1
        if key is not None:
            self._each[key] -= 1
            if not self._each[key]:
                del self._each[key]


class Conduct:
    """What one connection may still do: messages, and mistakes among them."""

    __slots__ = ("_errors", "_messages")

    def __init__(self, messages: Rate, errors: Rate, *, now_s: float) -> None:
        self._messages = Bucket(messages, now_s=now_s)
        self._errors = Bucket(errors, now_s=now_s)

    def speaks(self, *, now_s: float) -> bool:
        """Count a message; ``False`` when it is one too many."""
        return self._messages.take(now_s=now_s)

    def errs(self, *, now_s: float) -> bool:
        """Count a mistake; ``False`` when it is one too many."""
        return self._errors.take(now_s=now_s)
