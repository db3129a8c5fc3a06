"""What clients ask for, and what is to be done about it."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple, assert_never

from edge.core import extras
from edge.core.cursor import Cursor, Refusal, log_name, parse_cursor, refusal
from edge.core.extras import Ignored
from edge.core.feed import Feed
from edge.core.forms import with_field
from edge.core.members import Member
from edge.core.messages import error, pong
from edge.core.outbox import Outbox
from edge.core.outgoing import Outgoing
from edge.core.rules import Rules
from edge.core.session import (
    NO_REFRESH,
    UNKNOWN,
    Hello,
    ManualUpdate,
    Ping,
    Refused,
    Said,
    Subscribe,
    Unsubscribe,
)
from edge.core.snapshots import contract_of, network_of, spellings
from edge.core.table import Table
from schemas.demand import RefreshKind
from schemas.extras import ErrorCode, IgnoredWhy
from schemas.ids import UserId
from schemas.wire import Party

_NOBODY: frozenset[UserId] = frozenset()
RECOVERED = "recovered"
_REFRESH = {"prices": RefreshKind.PRICES, "balances": RefreshKind.BALANCES}


class Waiting(NamedTuple):
    """A request that this edge cannot serve before it has read as far as a cursor."""

    said: Subscribe
    cursor: Cursor


class Effects(NamedTuple):
    """What is to be done for one client.

    Each of ``frames`` is one or more whole WebSocket frames. The next is pulled when the
    one before was written and the socket has drained: pulling takes the newest values.
    ``watch`` are the users it named, whoever else did; ``unwatch`` those whom nobody
    names any more. ``resumed`` tells what became of a cursor: ``recovered``, or why not.
    ``error``: the client was told of a mistake of its own.
    ``waiting``: nothing yet; the request is to be handed in again (``Hub.resume``) when the
    table has reached its cursor, or after a while.
    """

    frames: Iterator[bytes] = iter(())
    watch: frozenset[UserId] = _NOBODY
    unwatch: frozenset[UserId] = _NOBODY
    refresh: RefreshKind | None = None
    waiting: Waiting | None = None
    resumed: str | None = None
    error: ErrorCode | None = None


class Requests:
    """Handles what clients say, one message at a time."""

    def __init__(
        self,
        table: Table,
        feeds: dict[Party, Feed[Any]],
        outgoing: Outgoing,
        rules: Rules,
    ) -> None:
        self._table, self._feeds = table, feeds
        self._outgoing, self._rules = outgoing, rules

    def handle(self, member: Member, said: Said, *, now_ms: int) -> Effects:
        """Do what a client asked for."""
        match said:
            case Subscribe():
                return self.subscribe(member, said, now_ms=now_ms)
            case Unsubscribe():
                return self._unsubscribe(member, said, now_ms)
            case Hello():
                return self._hello(member, said, now_ms)
            case Ping(timestamp):
                return self._reply(member, pong(timestamp))
            case ManualUpdate():
                return self._update(member)
            case Refused():
                return self._refuse(member, said)
            case _:
                assert_never(said)

    def subscribe(
        self, member: Member, said: Subscribe, *, now_ms: int, waited: bool = False
    ) -> Effects:
        """Subscribe, answer with all values or with those that changed since a cursor.

        ``waited``: it was waited for long enough that the table reach the cursor.
        """
        since = said.since if member.form.resumes else None
        cursor, why = self._judged(since, now_ms)
        if why is Refusal.AHEAD and cursor is not None and not waited:
            return Effects(waiting=Waiting(said, cursor))
        taken, left_out = self._within(member, said.ids)
        ids = None if taken is None else self._accepted(member, taken)
        self._feeds[member.party].groups.subscribe(member, ids)
        self._ask(member, ids, None if why else cursor)
        head = [self._error(member, self._too_many())] if left_out else []
        if since is not None or "ack" in member.features:
            said_so = extras.subscribed(
                member.party,
                ids,
                [*self._invalid(member, replace(said, ids=taken)), *left_out],
                recovered=None if since is None else why is None,
                why=why.value if why else None,
                now_ms=now_ms,
            )
            head.append(said_so)
        return Effects(
            self._outgoing.answer(member, now_ms=now_ms, head=head),
            watch=_users(member, ids or ()),
            resumed=None if since is None else why.value if why else RECOVERED,
            error="too-many-ids" if left_out else None,
        )

    def _ask(
        self, member: Member, ids: list[str] | None, cursor: Cursor | None
    ) -> None:
        """Let an answer wait for a client: all values, or those since a cursor."""
        feed = self._feeds[member.party]
        outbox: Outbox[Any] = member.outbox or Outbox()
        if cursor is None:
            feed.ask(outbox, ids)
        else:
            outbox.ask(feed.since(cursor.by_partition, ids))
        member.outbox = outbox
        feed.groups.place(member)

    def leave(self, member: Member) -> frozenset[UserId]:
        """Forget what a client asked for; return the users nobody names any more."""
        member.outbox = None
        dropped = self._feeds[member.party].groups.unsubscribe(member, None)
        return _users(member, dropped)

    def _unsubscribe(self, member: Member, said: Unsubscribe, now_ms: int) -> Effects:
        groups = self._feeds[member.party].groups
        ids = None if said.ids is None else self._accepted(member, said.ids)
        unaffected = self._unaffected(member, ids or ())
        named = None if ids is None else [each for i in ids for each in _all_of(i)]
        dropped = groups.unsubscribe(member, named)
        self._forget(member)
        if "ack" not in member.features:
            return Effects(unwatch=_users(member, dropped))
        message = extras.unsubscribed(
            member.party,
            None if ids is None else [each for each in ids if each not in unaffected],
            [*self._invalid(member, said), *unaffected.items()],
            now_ms=now_ms,
        )
        return self._reply(member, message)._replace(unwatch=_users(member, dropped))

    @staticmethod
    def _unaffected(member: Member, ids: Iterable[str]) -> dict[str, IgnoredWhy]:
        """Return those of the ids for which an ``UNSUBSCRIBE`` changes nothing, and why.

        A client that is subscribed to all goes on getting all of them.
        """
        if member.has_all:
            return dict.fromkeys(ids, "subscribed-to-all")
        # One token, however it was spelt when it was asked for.
        return {
            each: "not-subscribed"
            for each in ids
            if not member.named.intersection(_all_of(each))
        }

    def _forget(self, member: Member) -> None:
        """Drop what waits for a client and is of nothing it is subscribed to any more."""
        outbox: Outbox[Any] | None = member.outbox
        feed, selection = self._feeds[member.party], member.selection
        if outbox is None:
            return
        outbox.keep_zeros(member.named)
        if selection is not None:
            outbox.keep(lambda key: feed.named(key) in selection)
        if outbox.is_empty:
            member.outbox = None
            feed.groups.place(member)

    def _hello(self, member: Member, said: Hello, now_ms: int) -> Effects:
        offered = self._rules.features
        if not offered:
            return self._refuse(member, UNKNOWN)
        granted = tuple(each for each in said.features if each in offered)
        identity = self._table.identity
        message = extras.welcome(
            member.party,
            granted,
            ignored=[*(f for f in said.features if f not in granted), *said.unknown],
            log=log_name(identity) if identity else "",
            heartbeat_ms=self._rules.heartbeat_ms,
            now_ms=now_ms,
        )
        reply = self._reply(member, message)
        member.features = frozenset(granted)
        member.form = member.form._replace(
            exact="exact" in granted, resume="resume" in granted, seq="seq" in granted
        )
        self._feeds[member.party].groups.place(member)
        return reply

    def _update(self, member: Member) -> Effects:
        if not member.may_refresh:
            return self._refuse(member, NO_REFRESH)
        return Effects(refresh=_REFRESH[member.party])

    def _refuse(self, member: Member, said: Refused) -> Effects:
        return self._reply(member, self._error(member, said))._replace(error=said.code)

    @staticmethod
    def _error(member: Member, said: Refused) -> bytes:
        message = error(said.message)
        if "ack" in member.features:
            message = with_field(message, b'"code":"%b"' % said.code.encode())
        return message

    def _too_many(self) -> Refused:
        rules = self._rules
        bounds = [
            f"{most} {of}"
            for most, of in (
                (rules.ids_per_message, "of one message"),
                (rules.ids_per_client, "of one connection"),
            )
            if most
        ]
        text = f"Too many ids; those above {' or '.join(bounds)} are ignored"
        return Refused(text, "too-many-ids")

    def _within(
        self, member: Member, ids: tuple[str, ...] | None
    ) -> tuple[tuple[str, ...] | None, list[Ignored]]:
        """Return the ids that may still be named, and those left out.

        An id that the client has named already, and what is no id, takes no room.
        """
        if ids is None:
            return None, []
        rules, rest = self._rules, list[str]()
        if rules.ids_per_message:
            ids, rest = ids[: rules.ids_per_message], list(ids[rules.ids_per_message :])
        if rules.ids_per_client:
            ids, over = self._roomy(member, ids)
            rest = [*over, *rest]
        return ids, [(each, "too-many") for each in rest]

    def _roomy(
        self, member: Member, ids: tuple[str, ...]
    ) -> tuple[tuple[str, ...], list[str]]:
        taken, over, named = list[str](), list[str](), set(member.named)
        for each in ids:
            new = [i for i in self._accepted(member, [each]) if i not in named]
            if new and len(named) + len(new) > self._rules.ids_per_client:
                over.append(each)
            else:
                named.update(new)
                taken.append(each)
        return tuple(taken), over

    def _reply(self, member: Member, message: bytes) -> Effects:
        return Effects(iter((self._outgoing.frames(member, [message]),)))

    def _judged(
        self, since: str | None, now_ms: int
    ) -> tuple[Cursor | None, Refusal | None]:
        """Return the cursor, and why it cannot be gone on from."""
        if since is None:
            return None, None
        cursor = parse_cursor(since)
        tombstones_ms = self._rules.tombstones_ms
        return cursor, refusal(
            cursor, self._table, now_ms=now_ms, tombstones_ms=tombstones_ms
        )

    def _accepted(self, member: Member, ids: Iterable[str]) -> list[str]:
        network = network_of(self._table)
        return self._feeds[member.party].accepted(ids, network)

    def _invalid(self, member: Member, said: Subscribe | Unsubscribe) -> list[Ignored]:
        """Return what was named and is no id, for a client that wants to know."""
        if "ack" not in member.features:
            return []
        texts = [each for each in said.ids or () if not self._accepted(member, [each])]
        return [(each, "invalid") for each in (*texts, *said.others)]


def _all_of(each: str) -> tuple[str, ...]:
    """Return an id in all its spellings; a user has but one."""
    return spellings(contract_of(each))


def _users(member: Member, ids: Iterable[str]) -> frozenset[UserId]:
    """Return the users among ids: on prices there are none."""
    return frozenset(map(UserId, ids)) if member.party == "balances" else _NOBODY
