"""From records to what each batch of them changes, derived values included."""

from collections.abc import Iterable
from typing import NamedTuple

from edge.core.derived import base_of, decimals_of, is_subnet
from edge.core.places import Place
from edge.core.table import Change, Held, Table
from schemas.ids import ContractId, UserId


class Changed(NamedTuple):
    """What one batch of records changed, in the order of the first change.

    ``void_prices`` and ``void_balances`` are those of which an earlier value is void:
    they were withdrawn, or the price is now that of another token, whose versions are
    others.
    """

    prices: tuple[ContractId, ...] = ()
    tokens: tuple[ContractId, ...] = ()
    balances: tuple[Held, ...] = ()
    void_prices: frozenset[ContractId] = frozenset()
    void_balances: frozenset[Held] = frozenset()


class _Batch:
    """What the records of one batch changed themselves."""

    def __init__(self) -> None:
        self.prices: dict[ContractId, None] = {}
        self.tokens: dict[ContractId, None] = {}
        self.balances: dict[Held, None] = {}
        self.void_prices: dict[ContractId, None] = {}
        self.void_balances: dict[Held, None] = {}

    def add(self, change: Change, *, is_void: bool) -> None:
        if change.price is not None:
            self.prices[change.price] = None
            if is_void:
                self.void_prices[change.price] = None
        elif change.token is not None:
            self.tokens[change.token] = None
        elif change.balance is not None:
            self.balances[change.balance] = None
            if is_void:
                self.void_balances[change.balance] = None


class Changes:
    """Applies records to a table and knows what else each of them changes."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._bases: dict[ContractId, ContractId] = {}
        self._subnets: dict[ContractId, list[ContractId]] = {}
        # Subnet tokens whose base nobody knows.
        self._baseless: frozenset[ContractId] = frozenset()
        self._held_back: dict[ContractId, set[UserId]] = {}

    @property
    def held_back(self) -> int:
        """Balances whose token's decimals are not known."""
        return sum(map(len, self._held_back.values()))

    def take(
        self, records: Iterable[tuple[bytes, bytes | None]], places: Iterable[Place]
    ) -> Changed:
        """Apply a batch of records of ``latest``, each with the place where it stands."""
        batch = _Batch()
        for (key, value), place in zip(records, places, strict=False):
            batch.add(self._table.apply(key, value, place), is_void=value is None)
        return self._changed(batch)

    def withdraw(self, placed: Iterable[tuple[bytes, Place]]) -> Changed:
        """Take out keys that the log has forgotten, as ``Table.withdraw`` does."""
        batch = _Batch()
        for key, place in placed:
            batch.add(self._table.withdraw(key, place), is_void=True)
        return self._changed(batch)

    def priced_by(
        self, prices: Iterable[ContractId], tokens: Iterable[ContractId]
    ) -> tuple[frozenset[ContractId], frozenset[ContractId]]:
        """Return whose price may be another after records of these prices and tokens.

        The second set holds those among them that may have another base. Every price
        that is another is in the first: it follows from the records of the tokens on
        the way to the base, and from that of the base's price.
        """
        moved: set[ContractId] = set()
        for contract in tokens:
            base = base_of(contract, self._table.tokens)
            family = self._baseless if base is None else self._subnets.get(base, ())
            moved |= {contract, *family}
        priced = frozenset(moved).union(self._with_subnets(prices))
        return priced, frozenset(moved)

    def _changed(self, batch: _Batch) -> Changed:
        moved = self._moved_bases() if batch.tokens else []
        for contract in batch.tokens:
            batch.balances |= dict.fromkeys(self._released(contract))
        for held in batch.balances:
            self._hold_back(held)
        return Changed(
            prices=tuple(self._with_subnets(batch.prices) | dict.fromkeys(moved)),
            tokens=tuple(batch.tokens),
            balances=tuple(batch.balances),
            void_prices=frozenset(moved).union(self._with_subnets(batch.void_prices)),
            void_balances=frozenset(batch.void_balances),
        )

    def _moved_bases(self) -> list[ContractId]:
        """Learn the registry anew; return the tokens that have another base now.

        A token that is no subnet token any more is its own base again.
        """
        tokens = self._table.tokens
        found = {
            c: base_of(c, tokens) for c, token in tokens.items() if is_subnet(token)
        }
        bases = {c: base for c, base in found.items() if base is not None}
        self._baseless = frozenset(found.keys() - bases.keys())
        before = self._bases
        moved = [c for c in before | bases if before.get(c, c) != found.get(c, c)]
        self._bases, self._subnets = bases, {}
        for contract, base in sorted(bases.items()):
            self._subnets.setdefault(base, []).append(contract)
        return moved

    def _with_subnets(self, prices: Iterable[ContractId]) -> dict[ContractId, None]:
        """Return what has another price now: a subnet token has that of its base."""
        changed: dict[ContractId, None] = {}
        for contract in prices:
            if contract not in self._bases:
                changed[contract] = None
                changed |= dict.fromkeys(self._subnets.get(contract, ()))
        return changed

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
