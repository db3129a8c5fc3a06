"""The whole edge as one value: records and client messages in, bytes for clients out.

It does no I/O and asks no clock. A client's messages are handled one after the other:
the frames that answer one are pulled to the end before the next is handed in.
"""

from collections.abc import Container, Iterable, Iterator, Sequence
from typing import NamedTuple, assert_never

from edge.core import snapshots
from edge.core.changes import Changes, Write
from edge.core.frames import MAX_MESSAGE_BYTES, text_frame
from edge.core.messages import (
    balance_update,
    balances_body,
    error,
    pong,
    prices_body,
    server_info,
)
from edge.core.session import (
    ManualUpdate,
    Ping,
    Refused,
    Subscribe,
    Unsubscribe,
    parse,
)
from edge.core.subscriptions import ClientId, Subscriptions
from edge.core.table import Table
from schemas.demand import RefreshKind
from schemas.ids import STX, ContractId, UserId
from schemas.log import LogIdentity
from schemas.wire import Party

__all__ = ["Body", "ClientId", "Effects", "Hub", "Write"]

_NOBODY: frozenset[UserId] = frozenset()
_REFRESH = {"prices": RefreshKind.PRICES, "balances": RefreshKind.BALANCES}


class Effects(NamedTuple):
    """What is to be done for one client.

    Each of ``frames`` is one or more whole WebSocket frames. The next is pulled when the
    one before was written and the socket has drained: pulling takes values and index
    entry in one turn, so between snapshot and stream there is no gap and no repeat.
    """

    frames: Iterator[bytes] = iter(())
    watch: frozenset[UserId] = _NOBODY
    unwatch: frozenset[UserId] = _NOBODY
    refresh: RefreshKind | None = None


class Body(NamedTuple):
    """The answer to a GET, and the users it named."""

    json: bytes
    watch: frozenset[UserId]


class Hub:
    """Table, subscriptions and the rules that lead from one to the other."""

    def __init__(self) -> None:
        self._table = Table()
        self._prices: Subscriptions[str] = Subscriptions()
        self._balances: Subscriptions[UserId] = Subscriptions()
        self._parties: dict[ClientId, Party] = {}
        # Of clients that are being answered: the users whose snapshot is still to come.
        self._behind: dict[ClientId, set[UserId]] = {}
        self._changes = Changes(self._table)

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
        return len(self._parties)

    @property
    def keys(self) -> int:
        """Keys in the table."""
        return len(self._table)

    @property
    def watermarks_ms(self) -> dict[int, int]:
        """Up to which log time each shard is processed, of those that have said it."""
        return {n: mark.log_time for n, mark in self._table.watermarks.items()}

    def vanished(self, present: Container[bytes]) -> list[bytes]:
        """Return the keys of the table that are not ``present`` in the log any more."""
        return sorted(key for key in self._table.held_keys() if key not in present)

    def apply(
        self, records: Iterable[tuple[bytes, bytes | None]], *, now_ms: int
    ) -> list[Write]:
        """Take a batch of records of ``latest``; return what goes to whom.

        Each client is in at most one write of a party. Of several changes of one key the
        newest is sent.
        """
        changed = self._changes.take(records)
        prices = changed.price_writes(self._prices)
        balances = changed.balance_writes(self._balances, self._behind, now_ms=now_ms)
        return prices + balances

    def connect(self, client: ClientId, party: Party, *, now_ms: int) -> Effects:
        """Greet a client; on prices with all prices."""
        self._parties[client] = party
        greeting = text_frame(server_info(party, self._table, now_ms=now_ms))
        if party == "prices":
            greeting += self._all_prices(now_ms)
        return Effects(iter((greeting,)))

    def disconnect(self, client: ClientId) -> Effects:
        """Forget a client."""
        self._parties.pop(client, None)
        self._behind.pop(client, None)
        self._prices.remove_all(client)
        return Effects(unwatch=frozenset(self._balances.remove_all(client)))

    def receive(self, client: ClientId, text: str | bytes, *, now_ms: int) -> Effects:
        """Handle one message of a client; ``bytes`` is a binary frame."""
        party = self._parties[client]
        said = parse(text, party)
        match said:
            case Subscribe(ids):
                return self._subscribe(client, party, ids, now_ms)
            case Unsubscribe(ids):
                return self._unsubscribe(client, party, ids)
            case Ping(timestamp):
                return Effects(iter((text_frame(pong(timestamp)),)))
            case ManualUpdate():
                return Effects(refresh=_REFRESH[party])
            case Refused(message):
                return Effects(iter((text_frame(error(message)),)))
            case _:
                assert_never(said)

    def body(self, party: Party, asked: str | None, *, now_ms: int) -> Body:
        """Answer a GET; ``asked`` is the list of ids, ``None`` without the parameter."""
        ids = None if asked is None else asked.split(",")
        if party == "prices":
            updates = list(snapshots.price_updates(self._price_ids(ids), self._table))
            return Body(prices_body(updates, now_ms=now_ms), _NOBODY)
        if ids is None:
            everybody = sorted(self._table.balances)
            entries = self._entries(everybody, now_ms, zeros=False)
            return Body(balances_body(entries, now_ms=now_ms), _NOBODY)
        users = snapshots.asked_users(ids, snapshots.network_of(self._table))
        entries = self._entries(users, now_ms, zeros=True)
        return Body(balances_body(entries, now_ms=now_ms), frozenset(users))

    # ---- prices

    def _price_ids(self, ids: Sequence[str] | None) -> list[str]:
        if ids is None:
            return snapshots.all_spellings(self._table)
        return snapshots.asked_spellings(ids, snapshots.network_of(self._table))

    def _all_prices(self, now_ms: int) -> bytes:
        updates = snapshots.price_updates(self._price_ids(None), self._table)
        return snapshots.price_batches(updates, now_ms=now_ms)

    def _subscribe(
        self,
        client: ClientId,
        party: Party,
        ids: tuple[str, ...] | None,
        now_ms: int,
    ) -> Effects:
        if party == "balances":
            return self._subscribe_balances(client, ids, now_ms)
        return Effects(self._subscribe_prices(client, ids, now_ms))

    def _subscribe_prices(
        self, client: ClientId, ids: tuple[str, ...] | None, now_ms: int
    ) -> Iterator[bytes]:
        if ids is None:
            self._prices.add_all(client)
            frames = self._all_prices(now_ms)
        else:
            asked = self._price_ids(ids)
            for each in asked:
                self._prices.add(client, each)
            updates = snapshots.price_updates(asked, self._table)
            frames = b"".join(map(text_frame, updates))
        if frames:
            yield frames

    def _unsubscribe(
        self, client: ClientId, party: Party, ids: tuple[str, ...] | None
    ) -> Effects:
        if party == "balances":
            return self._unsubscribe_balances(client, ids)
        if ids is None:
            self._prices.remove_all(client)
            return Effects()
        for each in self._price_ids(ids):
            # One token, however it was spelt when it was asked for.
            contract = STX if each == "stx" else ContractId(each)
            self._prices.remove(client, snapshots.spellings(contract))
        return Effects()

    # ---- balances

    def _subscribe_balances(
        self, client: ClientId, ids: tuple[str, ...] | None, now_ms: int
    ) -> Effects:
        if ids is None:
            return Effects(self._all_balances(client, now_ms))
        users = snapshots.asked_users(ids, snapshots.network_of(self._table))
        fresh = frozenset(user for user in users if not self._balances.is_named(user))
        for user in users:
            self._balances.add(client, user)
        # Also of users whose changes went out so far: in the snapshot they come once.
        self._behind[client] = set(users)
        return Effects(self._snapshot(client, users, now_ms, zeros=True), watch=fresh)

    def _all_balances(self, client: ClientId, now_ms: int) -> Iterator[bytes]:
        users = sorted(self._table.balances)
        self._balances.add_all(client)
        self._behind[client] = set(users)
        yield from self._snapshot(client, users, now_ms, zeros=False)

    def _unsubscribe_balances(
        self, client: ClientId, ids: tuple[str, ...] | None
    ) -> Effects:
        if ids is None:
            return Effects(unwatch=frozenset(self._balances.remove_all(client)))
        users = snapshots.asked_users(ids, snapshots.network_of(self._table))
        return Effects(unwatch=frozenset(self._balances.remove(client, users)))

    def _entries(
        self, users: Iterable[UserId], now_ms: int, *, zeros: bool
    ) -> list[bytes]:
        made = (
            snapshots.entry(user, contract, self._table, zeros=zeros, now_ms=now_ms)
            for user in users
            for contract in snapshots.shown_tokens(user, self._table, zeros=zeros)
        )
        return [each for each in made if each is not None]

    def _snapshot(
        self, client: ClientId, users: Iterable[UserId], now_ms: int, *, zeros: bool
    ) -> Iterator[bytes]:
        """Yield the entries of users, a message's worth at a time.

        A client is no longer behind with a user from the turn in which the last of its
        entries go out; what changed between two pulls goes out once more in that turn.
        """
        table, behind = self._table, self._behind[client]
        waiting: list[bytes] = []
        size, sent_any = 0, False
        for user in users:
            sent: dict[ContractId, int] = {}
            for contract in snapshots.shown_tokens(user, table, zeros=zeros):
                made = snapshots.entry(
                    user, contract, table, zeros=zeros, now_ms=now_ms
                )
                if made and waiting and size + len(made) > MAX_MESSAGE_BYTES:
                    yield snapshots.balance_batches(waiting, now_ms=now_ms)
                    waiting, size, sent_any = [], 0, True
                    # It may be another by now, or gone.
                    made = snapshots.entry(
                        user, contract, table, zeros=zeros, now_ms=now_ms
                    )
                if made:
                    waiting.append(made)
                    size += len(made)
                    sent[contract] = self._version(user, contract)
            waiting += self._changed_since(sent, user)
            behind.discard(user)
        self._behind.pop(client, None)
        if waiting or not sent_any:
            yield snapshots.balance_batches(waiting, now_ms=now_ms)

    def _version(self, user: UserId, contract: ContractId) -> int:
        balance = self._table.balances.get(user, {}).get(contract)
        return balance.version if balance else 0

    def _changed_since(self, sent: dict[ContractId, int], user: UserId) -> list[bytes]:
        held = self._table.balances.get(user, {})
        newer = [c for c, balance in held.items() if balance.version > sent.get(c, 0)]
        made = (balance_update(held[each], self._table) for each in sorted(newer))
        return [each for each in made if each is not None]
