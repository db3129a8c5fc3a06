"""A share of the shards: leases in the file, renewed by a thread of their own.

A thread, because an event loop busy with a restore must not lose its shards.
"""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple
from uuid import uuid4

from eventlog.port import SHARDS_TOPIC, LogError, UnknownTopic

from .bell import MEMBERSHIP, Bell
from .config import SqliteConfig
from .pace import Pace
from .session import Session
from .worker import open_worker

logger = logging.getLogger(__name__)

_NS = 1_000_000_000
# A member has this many chances to renew before it is taken for dead.
_RENEWALS = 4


def share_of(member: str, *, members: Sequence[str], shards: int) -> frozenset[int]:
    """Return the member's range: sizes differ by one at most, the first are larger."""
    if member not in members:
        return frozenset()
    place = sorted(members).index(member)
    size, larger = divmod(shards, len(members))
    first = place * size + min(place, larger)
    return frozenset(range(first, first + size + (place < larger)))


class Renewed(NamedTuple):
    """What a renewal saw: the share, whether it changed the group, when to look again."""

    share: frozenset[int]
    news: bool
    look_again_s: float


class Lease:
    """One member's row in the table of leases; used by one thread."""

    def __init__(self, group: str, *, instance: str, config: SqliteConfig) -> None:
        self._group, self._config = group, config
        # Two processes may bear the same name while one replaces the other.
        self._member = f"{instance}/{uuid4().hex}"

    def renew(self, session: Session) -> Renewed:
        """Renew, drop the members whose time is over, and take the share."""
        lease_ns = int(self._config.lease_s * _NS)
        with session.writing() as db:
            now_ns = self._config.elapsed_ns()
            # The clock starts anew with the machine; a lease cannot end far ahead.
            dropped = db.execute(
                "DELETE FROM leases WHERE grp = ? AND member <> ?"
                " AND NOT expires BETWEEN ? AND ?",
                (self._group, self._member, now_ns + 1, now_ns + 100 * lease_ns),
            ).rowcount
            others: dict[str, int] = dict(
                db.execute(
                    "SELECT member, expires FROM leases WHERE grp = ?", (self._group,)
                )
            )
            joined = others.pop(self._member, None) is None
            db.execute(
                "INSERT OR REPLACE INTO leases (grp, member, expires) VALUES (?, ?, ?)",
                (self._group, self._member, now_ns + lease_ns),
            )
            shards = _shards(db)
        share = share_of(self._member, members=[self._member, *others], shards=shards)
        look_ns = min([lease_ns // _RENEWALS, *(e - now_ns for e in others.values())])
        return Renewed(share, joined or dropped > 0, look_ns / _NS)

    def give_up(self, session: Session) -> None:
        """Leave: the shards are free at once, or when the lease ends by itself."""
        with suppress(LogError), session.writing() as db:
            db.execute(
                "DELETE FROM leases WHERE grp = ? AND member = ?",
                (self._group, self._member),
            )


class SqliteMembership:
    """The share as the group last gave it."""

    def __init__(self) -> None:
        self._shards: frozenset[int] = frozenset()
        self._returned: frozenset[int] = frozenset()
        self._news = asyncio.Event()

    def shards(self) -> frozenset[int]:
        """Return the shards that are this instance's now; see the port."""
        return self._shards

    async def changed(self) -> frozenset[int]:
        """Wait until the share is not what this returned last (at first: nothing)."""
        while self._shards == self._returned:
            self._news.clear()
            await self._news.wait()
        self._returned = self._shards
        return self._returned

    def take(self, share: frozenset[int]) -> None:
        """Serve ``share`` from now on."""
        self._shards = share
        self._news.set()


@asynccontextmanager
async def join(
    group: str, *, instance: str, config: SqliteConfig, bell: Bell
) -> AsyncIterator[SqliteMembership]:
    """Join the group, leave it on exit."""
    loop = asyncio.get_running_loop()
    lease, membership, pace = (
        Lease(group, instance=instance, config=config),
        SqliteMembership(),
        Pace(),
    )

    def renew(session: Session) -> Renewed:
        renewed = lease.renew(session)
        if renewed.news:
            bell.ring(frozenset({MEMBERSHIP}))
        return renewed

    def tell(share: frozenset[int]) -> None:
        loop.call_soon_threadsafe(membership.take, share)

    async with open_worker("member", config) as worker:
        with bell.listening([MEMBERSHIP], pace.wake):
            first = await worker.run(renew)
            membership.take(first.share)
            renewing = worker.start(lambda s: _renew_on(s, renew, tell=tell, pace=pace))
            try:
                yield membership
            finally:
                pace.stop()
                await worker.run(lease.give_up)
                bell.ring(frozenset({MEMBERSHIP}))
                await renewing


def _renew_on(
    session: Session,
    renew: Callable[[Session], Renewed],
    *,
    tell: Callable[[frozenset[int]], None],
    pace: Pace,
) -> None:
    """Renew until stopped, and tell each share."""
    trouble = session.config.new_trouble(
        logger, "lease not renewed", "lease renewed again"
    )
    look_again_s = 0.0
    while pace.goes_on(after_s=look_again_s):
        try:
            renewed = renew(session)
        except LogError as error:
            # The share stands: if others take over, the fence decides.
            trouble.happened(error=str(error))
            look_again_s = session.config.lease_s / _RENEWALS
        else:
            trouble.over()
            tell(renewed.share)
            look_again_s = renewed.look_again_s


def _shards(db: sqlite3.Connection) -> int:
    row: tuple[int] | None = db.execute(
        "SELECT partitions FROM topics WHERE name = ?", (SHARDS_TOPIC,)
    ).fetchone()
    if row is None:
        raise UnknownTopic(SHARDS_TOPIC)
    return row[0]
