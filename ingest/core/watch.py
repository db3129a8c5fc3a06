"""Who is watched: the leases of the edges, and which users there is room for."""

from dataclasses import dataclass, field

from schemas.base import Malformed, decoder
from schemas.demand import Lease, Refresh
from schemas.ids import UserId, parse_user_id

REFRESH_MAX_AGE_MS = 60_000
_REFRESH = b"refresh:"
_lease = decoder(Lease)
_refresh = decoder(Refresh)


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """The lease of one edge on one user was withdrawn."""

    user_id: UserId
    edge: str


Demand = Lease | Refresh | Withdrawn | Malformed


def read_demand(key: bytes | None, value: bytes | None) -> Demand:
    """Read a record of ``demand``."""
    name = key or b""
    if name.startswith(_REFRESH):
        found: Demand = _refresh(value or b"")
        return found
    user, _, edge = name.decode(errors="replace").partition("|")
    if value is None:
        known = parse_user_id(user)
        return Withdrawn(known, edge) if known else Malformed(field="key")
    lease: Lease | Malformed = _lease(value)
    if isinstance(lease, Lease) and (lease.user_id, lease.edge) != (user, edge):
        return Malformed(field="key")
    return lease


def is_fresh(refresh: Refresh, *, now_ms: int) -> bool:
    """Tell whether a refresh request is young enough to be worth anything."""
    return abs(now_ms - refresh.requested_at) <= REFRESH_MAX_AGE_MS


@dataclass(slots=True)
class Watch:
    """The leases held now. Of more than ``limit`` users the first come are watched.

    The others wait, and move up as users leave.
    """

    limit: int
    # Grows whenever a user comes or leaves.
    changes: int = 0
    # By user, in the order in which they came: until when each edge wants them.
    _leases: dict[UserId, dict[str, int]] = field(default_factory=dict)
    # The last moment a user was wanted, for those who no longer are.
    _left_ms: dict[UserId, int] = field(default_factory=dict)

    def lease(self, lease: Lease, *, now_ms: int) -> None:
        """Take or renew a lease; one that is over already changes nothing."""
        if lease.expires_at > now_ms:
            self.changes += lease.user_id not in self._leases
            edges = self._leases.setdefault(lease.user_id, {})
            edges[lease.edge] = lease.expires_at
            self._left_ms.pop(lease.user_id, None)

    def withdraw(self, gone: Withdrawn, *, now_ms: int) -> None:
        """End a lease; one that was never there changes nothing."""
        edges = self._leases.get(gone.user_id, {})
        if edges.pop(gone.edge, None) is not None and not edges:
            self._leave(gone.user_id, now_ms=now_ms)

    def expire(self, *, now_ms: int) -> None:
        """End the leases that nobody renewed."""
        for user, edges in list(self._leases.items()):
            for edge in [edge for edge, end in edges.items() if end <= now_ms]:
                del edges[edge]
            if not edges:
                self._leave(user, now_ms=now_ms)

    def watched(self) -> list[UserId]:
        """Return the users there is room for, in the order in which they came."""
        return list(self._leases)[: self.limit]

    def unserved(self) -> int:
        """Return how many users are wanted beyond the limit."""
        return max(0, len(self._leases) - self.limit)

    def wanted(self, user: UserId) -> bool:
        """Tell whether any edge wants this user, polled or not."""
        return user in self._leases

    def left_ms(self, user: UserId) -> int:
        """Return when a user was last wanted as far as seen, -1 for never."""
        return self._left_ms.get(user, -1)

    def drop_left(self, *, before_ms: int) -> None:
        """Forget when users left who did so before a moment."""
        kept = {u: left for u, left in self._left_ms.items() if left >= before_ms}
        self._left_ms = kept

    def _leave(self, user: UserId, *, now_ms: int) -> None:
        del self._leases[user]
        self.changes += 1
        self._left_ms[user] = now_ms
