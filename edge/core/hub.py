"""The whole edge as one value: records and client messages in, bytes for clients out.

It does no I/O and asks no clock. A client's messages are handled one after the other:
the frames that answer one are pulled to the end before the next is handed in.

A client is *behind* while anything waits for it: an answer not yet pulled to its end, or
what changed while its socket took nothing more (``hold``). What waits are keys; of each
the newest value goes out when it is pulled.
"""

from collections import Counter
from collections.abc import Container, Iterable, Iterator
from typing import Any

from edge.core import extras
from edge.core.balances import Balances
from edge.core.bodies import Bodies
from edge.core.changes import Changed, Changes
from edge.core.cursor import Cursor, Refusal, has_reached, refusal
from edge.core.fanout import FanOut, Write
from edge.core.feed import Feed
from edge.core.forms import BASE, Form
from edge.core.freshness import (
    NO_OLD_PRICES,
    Newest,
    OldPrices,
    newest_of,
    old_prices,
)
from edge.core.members import ClientId, Member
from edge.core.messages import server_info
from edge.core.outbox import Offer, Outbox
from edge.core.outgoing import Outgoing
from edge.core.places import NOWHERE, Place
from edge.core.prices import Prices
from edge.core.requests import Effects, Requests, Waiting
from edge.core.rules import Rules
from edge.core.session import Said, parse
from edge.core.table import Table
from schemas.ids import ContractId
from schemas.log import LogIdentity
from schemas.wire import Party

__all__ = ["ClientId", "Effects", "Hub", "Offer", "Rules", "Waiting", "Write"]


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
        # What GET answers.
        self.bodies = Bodies(self._table, self._prices, self._balances)
        self._members: dict[ClientId, Member] = {}
        self._offers: Counter[Offer] = Counter()
        self._fell_behind: list[ClientId] = []

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

    def check_terms(self, *, checked: bool) -> None:
        """Say whether the records applied from now on are to agree with the terms read.

        They need not while what stood in the log before is read: compaction may have
        taken the terms between two records. After that ``apply`` raises ``OtherTimeline``
        for a log that has lost what was read of it.
        """
        self._table.checks_terms = checked

    def agree(self, terms: bytes) -> None:
        """Compare the newest terms of a shard, as read again, with what was read before.

        Raises ``OtherTimeline`` if the log has lost some of that.
        """
        self._table.agree(terms)

    @property
    def newest(self) -> Newest:
        """When the newest observation of each kind was made, of all that is published."""
        return newest_of(self._table.observed.values())

    def old_prices(self, *, limit_s: float) -> OldPrices:
        """Return which prices no source quotes any more; see ``freshness.old_prices``."""
        return old_prices(self._table, limit_s=limit_s)

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
        sent. ``places`` tell where the records stand; cursors are made of them. Raises
        ``OtherTimeline``, see ``check_terms``; then the table is of no use any more.
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

    def take_fallen_behind(self) -> list[ClientId]:
        """Return whom ``apply`` left behind without a write, since last asked.

        What waits for them is to be pulled once the writes have gone out.
        """
        fallen, self._fell_behind = self._fell_behind, []
        return fallen

    def connect(
        self,
        client: ClientId,
        party: Party,
        *,
        now_ms: int,
        form: Form = BASE,
        may_refresh: bool = True,
    ) -> Effects:
        """Greet a client; on prices with all prices.

        Of a stream of events it is known what it wants: it gets no more than that.
        """
        member = Member(client, party, form=form, may_refresh=may_refresh)
        self._members[client] = member
        if party == "prices" and not form.events:
            member.outbox = Outbox()
            self._prices.ask(member.outbox, None)
        greeting = server_info(party, self._table, now_ms=now_ms)
        if form.events:
            return Effects(iter((self._outgoing.frames(member, [greeting]),)))
        return Effects(self._outgoing.answer(member, now_ms=now_ms, head=[greeting]))

    def disconnect(self, client: ClientId) -> Effects:
        """Forget a client."""
        member = self._members.pop(client, None)
        return Effects(unwatch=self._requests.leave(member)) if member else Effects()

    def receive(self, client: ClientId, text: str | bytes, *, now_ms: int) -> Effects:
        """Handle one message of a client; ``bytes`` is a binary frame."""
        said = parse(text, self._members[client].party)
        return self.handle(client, said, now_ms=now_ms)

    def handle(self, client: ClientId, said: Said, *, now_ms: int) -> Effects:
        """Do what a client asked for."""
        return self._requests.handle(self._members[client], said, now_ms=now_ms)

    def resume(self, client: ClientId, waiting: Waiting, *, now_ms: int) -> Effects:
        """Handle a request that was to wait, now."""
        member = self._members[client]
        return self._requests.subscribe(
            member, waiting.said, now_ms=now_ms, waited=True
        )

    def has_reached(self, waiting: Waiting) -> bool:
        """Tell whether the table has all that a request waits for."""
        return has_reached(self._table, waiting.cursor)

    def cursor(self) -> str | None:
        """Return the cursor of who has everything; ``None`` of an unnamed log."""
        at = self._outgoing.cursor()
        return at.decode() if at else None

    def refusal(self, cursor: Cursor, *, now_ms: int) -> Refusal | None:
        """Return why what changed since a cursor cannot be told; ``None`` if it can."""
        tombstones_ms = self._rules.tombstones_ms
        return refusal(cursor, self._table, now_ms=now_ms, tombstones_ms=tombstones_ms)

    def made_bytes(self, client: ClientId) -> int:
        """Return how many bytes of messages were made for a client alone so far.

        They are counted as they are before they are compressed. What goes to several
        clients, because it changed, does not count.
        """
        member = self._members.get(client)
        return member.made_bytes if member else 0

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
        self,
        *,
        stale: bool,
        old: OldPrices = NO_OLD_PRICES,
        now_ms: int,
        at_once: int,
    ) -> Iterator[list[Write]]:
        """Yield the heartbeats of those who asked for them and have all there is.

        Of at most ``at_once`` clients each time, to be written before the next are asked
        for. ``stale``: newer values may exist. ``old``: prices that nobody quotes any more.
        """
        message = extras.heartbeat(
            self._watermarks(),
            newest=self.newest,
            old=old,
            stale=stale,
            now_ms=now_ms,
        )
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

    def _writes(self, changed: Changed, *, now_ms: int) -> list[Write]:
        flagged = {party: feed.changed(changed) for party, feed in self._feeds.items()}
        tokens = self._balances.take_fresh_tokens()
        owed = self._owed_zeros() if tokens else []
        # A cursor that goes out now must not say that they have these too.
        self._owe_zeros([each for each in owed if each.form.resumes], tokens)
        writes: list[Write] = []
        for party, feed in self._feeds.items():
            fan_out = FanOut(
                feed,
                cursor=self._outgoing.cursor,
                limit_bytes=self._rules.piece_bytes,
                now_ms=now_ms,
            )
            writes += fan_out.writes(flagged[party])
            self._offers.update(fan_out.offers)
        self._owe_zeros([each for each in owed if not each.form.resumes], tokens)
        return writes

    def _owed_zeros(self) -> list[Member]:
        """Return whoever named a user, and so is told zeros of tokens too."""
        return [
            member
            for member in self._members.values()
            if member.party == "balances" and member.named
        ]

    def _owe_zeros(
        self, members: Iterable[Member], tokens: frozenset[ContractId]
    ) -> None:
        """Have members told zeros of tokens that became known.

        They are behind with these: however many there are, they are made one piece after
        the other.
        """
        for member in members:
            outbox: Outbox[Any] = member.outbox or Outbox()
            outbox.owe_zeros(member.named, tokens)
            if member.outbox is None and not outbox.is_empty:
                member.outbox = outbox
                self._balances.groups.place(member)
                self._fell_behind.append(member.id)

    def _beats(self, clients: Iterable[ClientId], message: bytes) -> list[Write]:
        groups: dict[Form, list[Member]] = {}
        for member in map(self._members.get, clients):
            if member is not None and member.outbox is None:
                groups.setdefault(member.form, []).append(member)
        writes: list[Write] = []
        for form, members in groups.items():
            at = self._outgoing.cursor() if form.resumes else None
            # Who counts has bytes of its own.
            shares = [[each] for each in members] if form.seq else [members]
            for share in shares:
                frames = self._outgoing.frames(share[0], [message], at)
                writes.append(Write(tuple(each.id for each in share), frames))
        return writes

    def _watermarks(self) -> list[int | None]:
        table = self._table
        shards = range(table.identity.partitions if table.identity else 0)
        found = (table.watermarks.get(shard) for shard in shards)
        return [mark.log_time if mark else None for mark in found]
