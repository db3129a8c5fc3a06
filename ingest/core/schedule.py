"""Which user is read next, and what of them: polls, hints, refreshes, first readings."""

import heapq
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import count

from ingest.core.backoff import delay_s
from schemas.ids import ContractId, UserId

# Of the budget polls take this much, subnets where nothing is held this much, and the
# rest is for hints and new users.
_POLL_SHARE, _COLD_SHARE = 0.6, 0.2
_RETRY_BASE_S, _RETRY_CAP_S = 1.0, 60.0
_HINTS_IN_A_ROW = 4


class Reason(IntEnum):
    """Why a user is read; the smaller goes first."""

    FIRST = 0
    HINT = 1
    REFRESH = 2
    POLL = 3


@dataclass(frozen=True, slots=True)
class Pace:
    """How often to read.

    ``cold_s`` is for subnets where a user never held anything. Every ``full_every``-th
    poll asks for the whole account, also when the upstream would say it is unchanged:
    Hiro's ETag does not see all that can change a balance.
    """

    interval_s: float
    cold_s: float = 3_600.0
    full_every: int = 12
    hint_gap_s: float = 0.5


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading to do now: of the account, and of these subnets."""

    user: UserId
    reason: Reason
    full: bool
    subnets: tuple[ContractId, ...]


@dataclass(slots=True)
class _User:
    due_s: float
    reason: Reason
    # Of the entries in the queues only the one with this number counts.
    ticket: int = -1
    polls: int = 0
    failures: int = 0
    started_s: float = float("-inf")
    # What came while the user was being read: it is read again at once.
    pending: Reason | None = None
    asked_s: dict[ContractId, float] = field(default_factory=dict)
    held: set[ContractId] = field(default_factory=set)


_Queue = list[tuple[float, int, UserId]]


class Schedule:
    """The watched users and when each is due; time is always an argument.

    A reading handed out by ``take`` is in flight until ``done``: meanwhile its user is
    not handed out again, whatever comes.
    """

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._rate_s = float("inf")
        self._users: dict[UserId, _User] = {}
        self._subnets: tuple[ContractId, ...] = ()
        self._queues: dict[Reason, _Queue] = {reason: [] for reason in Reason}
        self._tickets = count()
        self._flying: set[UserId] = set()
        self._held = self._hints_in_a_row = 0
        self._refreshing: set[UserId] = set()
        self._refresh_again = False

    @property
    def users(self) -> int:
        """How many users are watched."""
        return len(self._users)

    @property
    def interval_s(self) -> float:
        """The time between two polls of a user: the pace, or what the budget allows."""
        calls = len(self._users) + self._held
        return max(self._pace.interval_s, calls / (self._rate_s * _POLL_SHARE))

    @property
    def cold_s(self) -> float:
        """The time between two calls to a subnet where a user never held anything."""
        calls = len(self._users) * len(self._subnets) - self._held
        return max(self._pace.cold_s, calls / (self._rate_s * _COLD_SHARE))

    @property
    def needed_rate_s(self) -> float:
        """How large a budget must be, in requests a second, to keep to the pace."""
        calls = len(self._users) + self._held
        return calls / (self._pace.interval_s * _POLL_SHARE)

    def allow(self, rate_s: float) -> None:
        """Take how many requests a second the settings allow in the long run.

        What an upstream allows for the moment is no matter of planning: a moment that
        was put off for hours would not come sooner when it allows more again.
        """
        self._rate_s = rate_s

    def watch(self, users: Iterable[UserId], *, now_s: float) -> None:
        """Make these the watched users: new ones are due now, the others are dropped."""
        wanted = dict.fromkeys(users)
        for user in [user for user in self._users if user not in wanted]:
            self._held -= len(self._users.pop(user).held)
            self._refreshed(user, now_s=now_s)
        for user in wanted:
            if user not in self._users:
                self._users[user] = _User(due_s=float("inf"), reason=Reason.POLL)
                self._want(user, Reason.FIRST, due_s=now_s)

    def offer_subnets(self, subnets: Iterable[ContractId], *, now_s: float) -> None:
        """Take the subnets there are; when one is new all users are due."""
        offered = tuple(sorted(subnets))
        new = set(offered) - set(self._subnets)
        self._subnets = offered
        if new:
            for user in self._users:
                self._want(user, Reason.POLL, due_s=now_s)

    def hold(self, user: UserId, subnet: ContractId) -> None:
        """Note that a watched user holds something in a subnet: it is asked each time."""
        known = self._users.get(user)
        if known is not None and subnet not in known.held:
            known.held.add(subnet)
            self._held += 1

    def hint(self, user: UserId, *, now_s: float) -> None:
        """Something touched this user: read the account and every subnet soon."""
        known = self._users.get(user)
        if known is not None:
            due_s = max(now_s, known.started_s + self._pace.hint_gap_s)
            self._want(user, Reason.HINT, due_s=due_s)

    def refresh(self, *, now_s: float) -> None:
        """Read everybody now; while such a run goes on, once more after it."""
        if self._refreshing:
            self._refresh_again = True
            return
        self._refreshing = set(self._users)
        for user in self._users:
            self._want(user, Reason.REFRESH, due_s=now_s)

    def take(self, *, now_s: float) -> Reading | None:
        """Hand out the most urgent reading that is due; ``None`` when there is none.

        Hints come from outside, as many as somebody likes to send: after some in a row
        a poll that is due gets its turn.
        """
        due = [reason for reason in Reason if self._is_due(reason, now_s)]
        if not due:
            return None
        reason = due[0]
        if self._hints_in_a_row >= _HINTS_IN_A_ROW and Reason.POLL in due:
            reason = Reason.POLL
        self._hints_in_a_row = self._hints_in_a_row + 1 if reason is Reason.HINT else 0
        return self._begin(heapq.heappop(self._queues[reason])[2], now_s)

    def take_probe(self, *, now_s: float) -> Reading | None:
        """Hand out the reading that is due and failed least, to try if others would fail.

        Of those the most urgent: a user who fails alone must not keep all others waiting.
        """
        due = (
            (self._users[user].failures, reason, entry)
            for reason, queue in self._queues.items()
            for entry in queue
            if entry[0] <= now_s and self._counts(entry)
            for user in entry[2:]
        )
        first = min(due, default=None)
        return None if first is None else self._begin(first[2][2], now_s)

    def asked(
        self, user: UserId, subnet: ContractId, *, balance: str, now_s: float
    ) -> None:
        """Note that a subnet answered."""
        known = self._users.get(user)
        if known is not None:
            known.asked_s[subnet] = now_s
            if balance != "0":
                self.hold(user, subnet)

    def done(
        self, reading: Reading, *, failed: bool, draw: float, now_s: float
    ) -> None:
        """End a reading; the next poll is one interval after this one began.

        A reading that failed is repeated earlier, with backoff; ``draw`` is in [0, 1).
        """
        self._flying.discard(reading.user)
        known = self._users.get(reading.user)
        if known is None:
            return
        pending, known.pending = known.pending, None
        # A reading that failed and was no mere poll is still to come, with all that it
        # asks for: it goes before the polls when the upstream is back.
        known.reason = reading.reason if failed else Reason.POLL
        known.due_s = self._due_s(known, failed=failed, draw=draw, now_s=now_s)
        self._push(reading.user, known)
        if pending is not None:
            self._want(reading.user, pending, due_s=now_s)
        else:
            self._refreshed(reading.user, now_s=now_s)

    def wait_s(self, *, now_s: float) -> float | None:
        """Return how long until something is due; ``None`` while nothing is."""
        for queue in self._queues.values():
            self._tidy(queue)
        heads = [queue[0][0] for queue in self._queues.values() if queue]
        return max(0.0, min(heads) - now_s) if heads else None

    def _begin(self, user: UserId, now_s: float) -> Reading:
        known = self._users[user]
        self._flying.add(user)
        known.started_s, known.ticket = now_s, -1
        full = known.polls % self._pace.full_every == 0
        return Reading(user, known.reason, full, self._due_subnets(known, now_s))

    def _due_subnets(self, known: _User, now_s: float) -> tuple[ContractId, ...]:
        # A deposit into a subnet is a transaction of the user, which a hint tells of; and
        # whoever asks for a reading asks for all that the user holds.
        if known.reason is not Reason.POLL:
            return self._subnets
        cold_s, never = self.cold_s, float("-inf")
        return tuple(
            subnet
            for subnet in self._subnets
            if subnet in known.held
            or now_s - known.asked_s.get(subnet, never) >= cold_s
        )

    def _due_s(
        self,
        known: _User,
        *,
        failed: bool,
        draw: float,
        now_s: float,
    ) -> float:
        if not failed:
            known.polls, known.failures = known.polls + 1, 0
            return max(now_s, known.started_s + self.interval_s)
        known.failures += 1
        wait_s = delay_s(
            known.failures, draw=draw, base_s=_RETRY_BASE_S, cap_s=_RETRY_CAP_S
        )
        return now_s + min(self.interval_s, _RETRY_BASE_S + wait_s)

    def _want(self, user: UserId, reason: Reason, *, due_s: float) -> None:
        known = self._users[user]
        if user in self._flying:
            waiting = reason if known.pending is None else known.pending
            known.pending = min(reason, waiting)
            return
        if reason < known.reason or due_s < known.due_s:
            known.reason = min(reason, known.reason)
            known.due_s = min(due_s, known.due_s)
            self._push(user, known)

    def _push(self, user: UserId, known: _User) -> None:
        known.ticket = next(self._tickets)
        entry = (known.due_s, known.ticket, user)
        heapq.heappush(self._queues[known.reason], entry)

    def _is_due(self, reason: Reason, now_s: float) -> bool:
        queue = self._queues[reason]
        self._tidy(queue)
        return bool(queue) and queue[0][0] <= now_s

    def _tidy(self, queue: _Queue) -> None:
        """Drop entries at the head that no longer count."""
        while queue and not self._counts(queue[0]):
            heapq.heappop(queue)

    def _counts(self, entry: tuple[float, int, UserId]) -> bool:
        known = self._users.get(entry[2])
        return known is not None and known.ticket == entry[1]

    def _refreshed(self, user: UserId, *, now_s: float) -> None:
        self._refreshing.discard(user)
        if self._refresh_again and not self._refreshing:
            self._refresh_again = False
            self.refresh(now_s=now_s)
