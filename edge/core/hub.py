"""The whole edge as one value: records and client messages in, bytes for clients out.

It does no I/O and asks no clock. A client's messages are handled one after the other:
the frames that answer one are pulled to the end before the next is handed in.

A client is *behind* while anything waits for it: an answer not yet pulled to its end, or
what changed while its socket took nothing more (``hold``). What waits are keys; of each
the newest value goes out when it is pulled.
"""

from collections import Counter
from collections.abc import Container, Iterable, Iterator
from typing import Any, NamedTuple

from edge.core import extras
from edge.core.balances import Balances
from edge.core.changes import Changed, Changes
from edge.core.cursor import has_reached
from edge.core.fanout import FanOut, Write
from edge.core.feed import Feed
from edge.core.forms import BASE, Form, with_cursor
from edge.core.members import ClientId, Member
from edge.core.messages import balances_body, prices_body, server_info
from edge.core.outbox import Offer, Outbox
from edge.core.outgoing import Outgoing
from edge.core.places import NOWHERE, Place
from edge.core.prices import Prices
from edge.core.requests import Effects, Requests, Waiting
from edge.core.rules import Rules
from edge.core.session import parse
from edge.core.snapshots import network_of
from edge.core.table import Table
from schemas.ids import UserId
from schemas.log import LogIdentity
from schemas.wire import Party

__all__ = ["Body", "ClientId", "Effects", "Hub", "Offer", "Rules", "Waiting", "Write"]


class Body(NamedTuple):
    """The answer to a GET, and the users it named."""

    json: bytes
    watch: frozenset[UserId]


class Hub:
    """Table, subscriptions and the rules that lead from one to the other."""

    def __init__(self, rules: Rules | None = None) -> None:
        self._rules = rules or Rules()
        self._table = Table(tombstones_ms=self._rules.tombstones_ms)
        self._changes = Changes(self._table)
        self._prices = Prices(self._table, self._changes)
        self._balances = Balances(self._table)
        self._feeds: dict[Party, Feed[Any]] = {
            "prices": self._prices,
            "balances": self._balances,
        }
        self._outgoing = Outgoing(self._table, self._feeds, self._rules)
        self._requests = Requests(self._table, self._feeds, self._outgoing, self._rules)
        self._members: dict[ClientId, Member] = {}
        self._offers: Counter[Offer] = Counter()

    @property
    def identity(self) -> LogIdentity | None:
        """Which log this is, once it has been read."""
        return self._table.identity

    @property
    def held_back(self) -> int:
        """Balances not sent because their token's decimals are not known yet."""
        return self._changes.held_back

    @property
    def unreadable(self) -> int:
        """Records of ``latest`` that could not be read."""
        return self._table.unreadable

    @property
    def clients(self) -> int:
        """Clients connected."""
        return len(self._members)

    @property
    def behind(self) -> int:
        """Clients for whom something waits."""
        return sum(member.outbox is not None for member in self._members.values())

    @property
    def keys(self) -> int:
        """Keys in the table."""
        return len(self._table)

    @property
    def watermarks_ms(self) -> dict[int, int]:
        """Up to which log time each shard is processed, of those that have said it."""
        return {n: mark.log_time for n, mark in self._table.watermarks.items()}

    def vanished(self, present: Container[bytes]) -> dict[bytes, int]:
        """Return the keys of the table that are not ``present`` in the log any more.

        With each the partition in which it stood.
        """
        held = self._table.held_keys()
        return {key: held[key] for key in sorted(held) if key not in present}

    def apply(
        self,
        records: Iterable[tuple[bytes, bytes | None]],
        *,
        now_ms: int,
        places: Iterable[Place] = NOWHERE,
    ) -> list[Write]:
        """Take a batch of records of ``latest``; return what goes to whom.

        Each client is in at most one write. Of several changes of one key the newest is
        sent. ``places`` tell where the records stand; cursors are made of them.
        """
        return self._writes(self._changes.take(records, places), now_ms=now_ms)

    def withdraw(
        self, placed: Iterable[tuple[bytes, Place]], *, now_ms: int
    ) -> list[Write]:
        """Take out keys that have vanished from the log; return what goes to whom.

        A place is where the tombstone stood at the latest: who resumes from before it
        is told. To be done before what is new is applied.
        """
        return self._writes(self._changes.withdraw(placed), now_ms=now_ms)

    def take_offers(self) -> "Counter[Offer]":
        """Return what became of changes for clients that were behind, since last asked."""
        offers, self._offers = self._offers, Counter()
        return offers

    def connect(self, client: ClientId, party: Party, *, now_ms: int) -> Effects:
        """Greet a client; on prices with all prices."""
        member = self._members[client] = Member(client, party)
        if party == "prices":
            member.outbox = Outbox()
            self._prices.ask(member.outbox, None)
        greeting = server_info(party, self._table, now_ms=now_ms)
        return Effects(self._outgoing.answer(member, now_ms=now_ms, head=[greeting]))

    def disconnect(self, client: ClientId) -> Effects:
        """Forget a client."""
        member = self._members.pop(client, None)
        return Effects(unwatch=self._requests.leave(member)) if member else Effects()

    def receive(self, client: ClientId, text: str | bytes, *, now_ms: int) -> Effects:
        """Handle one message of a client; ``bytes`` is a binary frame."""
        member = self._members[client]
        return self._requests.handle(member, parse(text, member.party), now_ms=now_ms)

    def resume(self, client: ClientId, waiting: Waiting, *, now_ms: int) -> Effects:
        """Handle a request that was to wait, now."""
        member = self._members[client]
        return self._requests.subscribe(
            member, waiting.said, now_ms=now_ms, waited=True
        )

    def has_reached(self, waiting: Waiting) -> bool:
        """Tell whether the table has all that a request waits for."""
        return has_reached(self._table, waiting.cursor)

    # ---- clients that are behind

    def hold(self, client: ClientId) -> None:
        """Let what changes wait: the client's socket takes no more for now."""
        member = self._members.get(client)
        if member is not None and member.outbox is None:
            member.outbox = Outbox()
            self._feeds[member.party].groups.place(member)

    def is_behind(self, client: ClientId) -> bool:
        """Tell whether something waits for a client, or it is held."""
        member = self._members.get(client)
        return member is not None and member.outbox is not None

    def pull(self, client: ClientId, *, now_ms: int) -> bytes:
        """Return the next write for a client that is behind, perhaps an empty one.

        When nothing is left for it, it is behind no more.
        """
        member = self._members.get(client)
        if member is None or member.outbox is None:
            return b""
        return self._outgoing.pull(member, now_ms=now_ms)

    # ---- what is said unasked

    def heartbeats(
        self, *, stale: bool, now_ms: int, at_once: int
    ) -> Iterator[list[Write]]:
        """Yield the heartbeats of those who asked for them and have all there is.

        Of at most ``at_once`` clients each time, to be written before the next are asked
        for. ``stale``: newer values may exist.
        """
        message = extras.heartbeat(self._watermarks(), stale=stale, now_ms=now_ms)
        hearing = [c for c, m in self._members.items() if "heartbeat" in m.features]
        for start in range(0, len(hearing), at_once):
            yield self._beats(hearing[start : start + at_once], message)

    def farewell(self, client: ClientId, *, reconnect_in_ms: int, now_ms: int) -> bytes:
        """Return the notice of a shutdown; empty for who did not ask for one."""
        member = self._members.get(client)
        if member is None or "shutdown" not in member.features:
            return b""
        message = extras.shutdown(reconnect_in_ms=reconnect_in_ms, now_ms=now_ms)
        return self._outgoing.frames(member, [message])

    def body(self, party: Party, asked: str | None, *, now_ms: int) -> Body:
        """Answer a GET; ``asked`` is the list of ids, ``None`` without the parameter."""
        nobody: frozenset[UserId] = frozenset()
        ids = None if asked is None else asked.split(",")
        if party == "prices":
            return Body(prices_body(self._price_updates(ids), now_ms=now_ms), nobody)
        if ids is None:
            everybody = self._balances.users()
            entries = self._balances.everything(everybody, zeros=False, now_ms=now_ms)
            return Body(balances_body(entries, now_ms=now_ms), nobody)
        users = self._balances.accepted(ids, network_of(self._table))
        named = frozenset(map(UserId, users))
        entries = self._balances.everything(
            map(UserId, users), zeros=True, now_ms=now_ms
        )
        return Body(balances_body(entries, now_ms=now_ms), named)

    def _writes(self, changed: Changed, *, now_ms: int) -> list[Write]:
        writes: list[Write] = []
        for feed in self._feeds.values():
            fan_out = FanOut(
                feed,
                cursor=self._outgoing.cursor,
                limit_bytes=self._rules.piece_bytes,
                now_ms=now_ms,
            )
            writes += fan_out.writes(feed.changed(changed))
            self._offers.update(fan_out.offers)
        return writes

    def _price_updates(self, ids: Iterable[str] | None) -> list[bytes]:
        if ids is None:
            return self._prices.everything()
        asked = self._prices.accepted(ids, network_of(self._table))
        made = (self._prices.update(each, 0, BASE, now_ms=0) for each in asked)
        return [update for update in made if update]

    def _beats(self, clients: Iterable[ClientId], message: bytes) -> list[Write]:
        groups: dict[Form, list[Member]] = {}
        for member in map(self._members.get, clients):
            if member is not None and member.outbox is None:
                groups.setdefault(member.form, []).append(member)
        at = self._outgoing.cursor()
        writes: list[Write] = []
        for form, members in groups.items():
            said = with_cursor([message], at) if form.resume and at else [message]
            # Who counts has bytes of its own.
            shares = [[each] for each in members] if form.seq else [members]
            for share in shares:
                frames = self._outgoing.frames(share[0], said)
                writes.append(Write(tuple(each.id for each in share), frames))
        return writes

    def _watermarks(self) -> list[int | None]:
        table = self._table
        shards = range(table.identity.partitions if table.identity else 0)
        found = (table.watermarks.get(shard) for shard in shards)
        return [mark.log_time if mark else None for mark in found]
