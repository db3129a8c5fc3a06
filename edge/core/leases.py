"""Which users this edge asks ingest to watch, and what of that is still to be said."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from schemas.ids import UserId

RENEWALS = 5  # in the life of a lease
# Users named by requests while the log is away; whoever is above that asks again.
MAX_GLANCES = 10_000


class Lease(NamedTuple):
    """What is to be written of one user: a lease, or that it is withdrawn."""

    user_id: UserId
    held: bool


class Leases:
    """The leases of one edge. What waits is a set of users, however often they change.

    ``now_s`` is monotonic. The shell writes what ``due`` returns and then calls
    ``written``; what it could not write is due again.
    """

    def __init__(self, *, lease_s: float) -> None:
        self._renew_s = lease_s / RENEWALS
        self._watched: dict[UserId, None] = {}
        self._glances: dict[UserId, None] = {}
        self._waiting: dict[UserId, None] = {}
        # When each lease was written last, the oldest first.
        self._written: dict[UserId, float] = {}
        self._known: set[UserId] = set()

    def __len__(self) -> int:
        """Return how many users have subscribers."""
        return len(self._watched)

    @property
    def watched(self) -> tuple[UserId, ...]:
        """The users that have subscribers."""
        return tuple(self._watched)

    @property
    def known(self) -> int:
        """How many users are watched, or have a lease of who asked once."""
        return len(self._known)

    def is_known(self, user_id: UserId) -> bool:
        """Tell whether a user is watched, or was asked about lately."""
        return user_id in self._known

    def watch(self, users: Iterable[UserId]) -> None:
        """Hold a lease of each user from now on; nothing is new of those already held."""
        for user_id in users:
            if user_id not in self._watched:
                self._watched[user_id] = None
                self._waiting[user_id] = None
                self._note(user_id)

    def unwatch(self, users: Iterable[UserId]) -> None:
        """Withdraw the leases; one that was never written just is not."""
        for user_id in users:
            self._watched.pop(user_id, None)
            if user_id in self._written:
                self._waiting[user_id] = None
            elif user_id not in self._glances:
                self._waiting.pop(user_id, None)
            self._note(user_id)

    def glance(self, users: Iterable[UserId], *, now_s: float) -> int:
        """Write one lease of each user and let it run out.

        Nothing for users whose lease is fresh. Returns how many were turned away because
        too many wait.
        """
        refused = 0
        for user_id in users:
            at_s = self._written.get(user_id)
            fresh = at_s is not None and now_s - at_s < self._renew_s
            if fresh or user_id in self._watched or user_id in self._glances:
                continue
            if len(self._glances) >= MAX_GLANCES:
                refused += 1
                continue
            self._glances[user_id] = None
            self._waiting[user_id] = None
            self._note(user_id)
        return refused

    def due(self, *, now_s: float, limit: int) -> list[Lease]:
        """Return what is to be written now, at most ``limit``, in the order it came up."""
        self._renew(now_s)
        users = list(self._waiting)[:limit]
        return [Lease(user_id, self._is_wanted(user_id)) for user_id in users]

    def written(self, leases: Sequence[Lease], *, now_s: float) -> None:
        """Note what stands in the log now; what changed meanwhile stays due."""
        for user_id, held in leases:
            wanted = self._is_wanted(user_id)
            self._written.pop(user_id, None)
            if held:
                self._written[user_id] = now_s
                self._glances.pop(user_id, None)
            if held == wanted:
                self._waiting.pop(user_id, None)
            else:
                self._waiting[user_id] = None
            self._note(user_id)

    @property
    def waiting(self) -> int:
        """How many users there is something to be written of."""
        return len(self._waiting)

    def wait_s(self, *, now_s: float) -> float | None:
        """Return how long nothing will be due; ``None`` until somebody comes."""
        if self._waiting:
            return 0.0
        oldest_s = next(iter(self._written.values()), None)
        return None if oldest_s is None else max(0.0, oldest_s + self._renew_s - now_s)

    def _is_wanted(self, user_id: UserId) -> bool:
        return user_id in self._watched or user_id in self._glances

    def _renew(self, now_s: float) -> None:
        """Let leases that grow old wait to be renewed, or forget them."""
        for user_id, at_s in list(self._written.items()):
            if now_s - at_s < self._renew_s:
                return
            if user_id in self._watched:
                self._waiting[user_id] = None
            elif user_id not in self._waiting:
                del self._written[user_id]
                self._note(user_id)

    def _note(self, user_id: UserId) -> None:
        """Let a user be known or not, after anything has changed about him."""
        if self._is_wanted(user_id) or user_id in self._written:
            self._known.add(user_id)
        else:
            self._known.discard(user_id)
