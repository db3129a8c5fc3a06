"""From changed records to the bytes that go out, shared by all who want the same."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple, TypeVar

from edge.core import snapshots
from edge.core.derived import base_of, decimals_of, is_subnet
from edge.core.frames import text_frame
from edge.core.messages import balance_update
from edge.core.subscriptions import ClientId, Subscriptions
from edge.core.table import Held, Table
from schemas.ids import ContractId, UserId

_Wanted = TypeVar("_Wanted")
_Behind = Mapping[ClientId, set[UserId]]
_NOBODY: frozenset[UserId] = frozenset()


class Write(NamedTuple):
    """Bytes for some clients, one write each.

    The clients are those subscribed when the bytes were built: who subscribes later gets
    newer values with the snapshot.
    """

    clients: tuple[ClientId, ...]
    frames: bytes


class Changed(NamedTuple):
    """What one batch of records changed, in the order of the first change."""

    table: Table
    prices: tuple[ContractId, ...]
    balances: tuple[Held, ...]

    def price_writes(self, subscriptions: Subscriptions[str]) -> list[Write]:
        """Return the ``PRICE_UPDATE`` frames, joined for each group of clients."""
        spelt = [each for c in self.prices for each in snapshots.spellings(c)]
        frames = {
            each: b"".join(map(text_frame, snapshots.price_updates([each], self.table)))
            for each in spelt
        }
        wanted: dict[ClientId, list[str]] = defaultdict(list)
        for each in spelt:
            for client in subscriptions.of(each):
                wanted[client].append(each)
        groups = _groups(wanted)
        if every := subscriptions.of_all():
            groups[tuple(spelt)] = [*groups.get(tuple(spelt), ()), *every]
        return [
            Write(tuple(clients), joined)
            for ids, clients in groups.items()
            if (joined := b"".join(frames[each] for each in ids))
        ]

    def balance_writes(
        self, subscriptions: Subscriptions[UserId], behind: _Behind, *, now_ms: int
    ) -> list[Write]:
        """Return one ``BALANCE_UPDATE``, or batches, for each group of clients.

        Nothing of a user of whom a client is ``behind``: the snapshot is still to come.
        """
        updates = {held: self._update(held) for held in self.balances}
        sent = [held for held, update in updates.items() if update]
        wanted: dict[ClientId, list[Held]] = defaultdict(list)
        for held in sent:
            for client in subscriptions.of(held[0]):
                if held[0] not in behind.get(client, _NOBODY):
                    wanted[client].append(held)
        for client in subscriptions.of_all():
            late = behind.get(client, _NOBODY)
            wanted[client] = [held for held in sent if held[0] not in late]
        return [
            Write(tuple(clients), _framed([updates[held] for held in which], now_ms))
            for which, clients in _groups(wanted).items()
            if which
        ]

    def _update(self, held: Held) -> bytes:
        user, contract = held
        balance = self.table.balances.get(user, {}).get(contract)
        return (balance_update(balance, self.table) or b"") if balance else b""


def _framed(updates: list[bytes], now_ms: int) -> bytes:
    if len(updates) == 1:
        return text_frame(updates[0])
    return snapshots.balance_batches(updates, now_ms=now_ms)


def _groups(
    wanted: Mapping[ClientId, list[_Wanted]],
) -> dict[tuple[_Wanted, ...], list[ClientId]]:
    groups: dict[tuple[_Wanted, ...], list[ClientId]] = defaultdict(list)
    for client, which in wanted.items():
        groups[tuple(which)].append(client)
    return groups


class Changes:
    """Applies records to a table and knows what else each of them changes."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._bases: dict[ContractId, ContractId] = {}
        self._subnets: dict[ContractId, list[ContractId]] = {}
        self._held_back: dict[ContractId, set[UserId]] = {}

    @property
    def held_back(self) -> int:
        """Balances whose token's decimals are not known."""
        return sum(map(len, self._held_back.values()))

    def take(self, records: Iterable[tuple[bytes, bytes | None]]) -> Changed:
        """Apply a batch of records of ``latest``."""
        prices: dict[ContractId, None] = {}
        tokens: dict[ContractId, None] = {}
        balances: dict[Held, None] = {}
        for key, value in records:
            change = self._table.apply(key, value)
            if change.price is not None:
                prices[change.price] = None
            elif change.token is not None:
                tokens[change.token] = None
            elif change.balance is not None:
                balances[change.balance] = None
        moved = self._moved_bases() if tokens else []
        for contract in tokens:
            balances |= dict.fromkeys(self._released(contract))
        for held in balances:
            self._hold_back(held)
        return Changed(self._table, self._with_subnets(prices, moved), tuple(balances))

    def _moved_bases(self) -> list[ContractId]:
        """Learn the registry anew; return the tokens that have another base now.

        A token that is no subnet token any more is its own base again.
        """
        tokens = self._table.tokens
        found = {
            c: base_of(c, tokens) for c, token in tokens.items() if is_subnet(token)
        }
        bases = {c: base for c, base in found.items() if base is not None}
        before = self._bases
        moved = [c for c in before | bases if before.get(c, c) != found.get(c, c)]
        self._bases, self._subnets = bases, {}
        for contract, base in sorted(bases.items()):
            self._subnets.setdefault(base, []).append(contract)
        return moved

    def _with_subnets(
        self, prices: Iterable[ContractId], moved: list[ContractId]
    ) -> tuple[ContractId, ...]:
        """Return what has another price now: a subnet token has that of its base."""
        changed: dict[ContractId, None] = {}
        for contract in prices:
            if contract not in self._bases:
                changed[contract] = None
                changed |= dict.fromkeys(self._subnets.get(contract, ()))
        return tuple(changed | dict.fromkeys(moved))

    def _released(self, contract: ContractId) -> list[Held]:
        """Return the balances that waited for the decimals of a token known now."""
        if decimals_of(contract, self._table) is None:
            return []
        return [(u, contract) for u in sorted(self._held_back.pop(contract, ()))]

    def _hold_back(self, held: Held) -> None:
        user, contract = held
        if contract not in self._table.balances.get(user, ()):
            self._held_back.get(contract, set()).discard(user)
        elif decimals_of(contract, self._table) is None:
            self._held_back.setdefault(contract, set()).add(user)
